-- How replies end where their turn could not say it: by what Meta reports, by an operator, by the policy for unsure ones.

-- name: settle_by_receipt
-- Meta has the reply after all: whatever was unsure, given up as unsure, or about to be posted again is accepted.
-- For an unsure attempt any report will do, also a failure: Meta had taken it.
WITH told AS (
    SELECT DISTINCT ON (r.id) r.id, r.state AS was, c.attempt, c.wamid,
        least(c.sent_at, c.delivered_at, c.read_at, c.played_at, c.failed_at) AS at
    FROM replies r
    JOIN receipts c ON c.campaign_id = 0 AND c.message_id = r.id
    WHERE r.id = ANY ($1::bigint[])
      AND ((r.state = 'unsure' AND c.attempt = r.attempt)
        OR (c.state <> 'failed' AND (r.state IN ('unsure', 'pending')
            OR (r.state = 'refused' AND r.reason = 'unsure_given_up'))))
    ORDER BY r.id, c.state = 'failed', c.attempt DESC
), done AS (
    UPDATE replies r
    SET state = 'accepted', wamid = told.wamid, attempt = greatest(r.attempt, told.attempt), not_before = '-infinity',
        reason = NULL, code = NULL, detail = NULL, posted_at = coalesce(r.posted_at, told.at)
    FROM told
    WHERE r.id = told.id AND r.state = told.was
    RETURNING r.id, told.attempt
)
DELETE FROM attempts a USING done WHERE a.campaign_id = 0 AND a.message_id = done.id AND a.attempt = done.attempt

-- name: failures
-- Failed attempts whose consequences nobody has drawn yet, with all that is needed to draw them. Each is told once.
WITH asked AS (
    SELECT DISTINCT * FROM unnest($1::bigint[], $2::smallint[]) AS a (id, attempt)
), failed AS (
    UPDATE receipts c
    SET is_followed = true
    FROM asked a
    WHERE c.campaign_id = 0 AND c.message_id = a.id AND c.attempt = a.attempt AND c.state = 'failed' AND NOT c.is_followed
    RETURNING c.*
)
SELECT f.message_id, f.attempt, f.code, f.detail, coalesce(c.person, c.user_id, c.person_key) AS person, c.person_key,
    s AS sender, r.state = 'accepted' AND r.attempt = f.attempt AS may_reopen, c.window_ends_at,
    (SELECT count(*) FROM attempts b WHERE b.campaign_id = 0 AND b.message_id = f.message_id
        AND b.attempt <> f.attempt AND b.code = f.code) AS failed_before
FROM failed f
JOIN replies r ON r.id = f.message_id
JOIN conversations c ON c.id = r.conversation_id
JOIN senders s ON s.id = r.sender_id

-- name: lock_followers
-- Before a reply ($1) is reopened: nothing is queued behind it meanwhile, and whoever claims passes over those that are.
WITH place AS (
    SELECT p.conversation_id
    FROM reply_positions p
    WHERE p.conversation_id = (SELECT conversation_id FROM replies WHERE id = $1)
    FOR UPDATE
)
SELECT e.id
FROM place
JOIN replies e USING (conversation_id)
WHERE e.state = 'pending'
ORDER BY e.id
FOR UPDATE OF e

-- name: reopen
-- Another attempt of a reply that Meta had taken and could not deliver; the failed one stays on record. Only while nothing
-- after it was sent or is about to be, for the order counts more. Those behind it get the same wait: a claim that began before
-- this was committed finds their time not come, and every later one finds them waiting for this reply.
-- $1 reply, $2 attempt, $3 not before, $4 reason, $5 code, $6 detail.
WITH before AS (
    SELECT r.*, coalesce($3::timestamptz, ledger_now() + interval '1 s') AS again_at
    FROM replies r
    WHERE r.id = $1 AND r.state = 'accepted' AND r.attempt = $2
      AND NOT EXISTS (SELECT FROM replies e
        WHERE e.conversation_id = r.conversation_id AND e.position > r.position AND e.state NOT IN ('pending', 'cancelled'))
    FOR UPDATE
), kept AS (
    INSERT INTO attempts (campaign_id, message_id, attempt, sender_id, at, wamid, code, reason, detail)
    SELECT 0, id, attempt, sender_id, coalesce(posted_at, ledger_now()), wamid, $5, $4, $6 FROM before
    ON CONFLICT DO NOTHING
)
UPDATE replies r
SET state = 'pending',
    not_before = greatest(r.not_before, b.again_at),
    reason = coalesce(CASE WHEN r.id <> b.id THEN r.reason END, $4),
    code = CASE WHEN r.id = b.id THEN $5 ELSE r.code END,
    detail = CASE WHEN r.id = b.id THEN $6 ELSE r.detail END,
    wamid = NULL
FROM before b
WHERE r.conversation_id = b.conversation_id AND (r.id = b.id OR (r.position > b.position AND r.state = 'pending'))

-- name: unsure_with_receipt
-- A report was booked while the reply was still in a turn's hands, and the turn's own answer was lost.
SELECT r.id, r.attempt
FROM replies r
JOIN receipts c ON c.campaign_id = 0 AND c.message_id = r.id AND c.attempt = r.attempt
WHERE r.state = 'unsure'
LIMIT $1

-- name: unsure
-- For people: what is unsure, and who decides. $1 only these; NULL: all. $3 the grace. $4 those after
-- this one; NULL: from the first on.
SELECT r.id, r.attempt, coalesce(c.person, c.user_id, c.person_key) AS person, s.name AS sender, r.posted_at, r.reason, r.code,
    r.detail, r.unsure_policy, CASE WHEN r.unsure_policy <> 'ask' THEN r.posted_at + $3::interval END AS decides_at
FROM replies r
JOIN conversations c ON c.id = r.conversation_id
JOIN senders s ON s.id = r.sender_id
WHERE r.state = 'unsure' AND ($1::bigint[] IS NULL OR r.id = ANY ($1))
  AND ($4::bigint IS NULL OR r.id > $4)
ORDER BY r.id
LIMIT $2

-- name: count_unsure
SELECT count(*) FROM replies WHERE state = 'unsure'

-- name: due
-- Unsure for so long ($1) that the policy decides; nobody is decided on while webhooks wait to be read, or where a report
-- has come. `resend` only while the window is open, and $3 times at most.
SELECT r.id, r.unsure_policy = 'resend' AND c.window_ends_at > ledger_now()
    AND (SELECT count(*) FROM attempts a WHERE a.campaign_id = 0 AND a.message_id = r.id AND a.reason = 'unsure') < $3
    AS is_resent
FROM replies r
JOIN conversations c ON c.id = r.conversation_id
WHERE r.state = 'unsure' AND r.unsure_policy <> 'ask' AND r.posted_at < ledger_now() - $1::interval
  AND NOT EXISTS (SELECT FROM inbox WHERE received_at < ledger_now() - interval '30 seconds')
  AND NOT EXISTS (SELECT FROM receipts t WHERE t.campaign_id = 0 AND t.message_id = r.id AND t.attempt = r.attempt)
ORDER BY r.id
LIMIT $2

-- name: settle
-- $2 accepted or refused; $3 why.
UPDATE replies SET state = $2, reason = $3 WHERE id = ANY ($1::bigint[]) AND state = 'unsure' RETURNING sender_id

-- name: release
-- To be posted again, though it may have arrived: the unsure attempt stays on record.
WITH before AS (
    SELECT * FROM replies WHERE id = ANY ($1::bigint[]) AND state = 'unsure' FOR UPDATE
), kept AS (
    INSERT INTO attempts (campaign_id, message_id, attempt, sender_id, at, wamid, code, reason, detail)
    SELECT 0, id, attempt, sender_id, coalesce(posted_at, ledger_now()), wamid, code, 'unsure',
        concat_ws(': ', reason, nullif(detail, ''))
    FROM before
    ON CONFLICT DO NOTHING
)
UPDATE replies r
SET state = 'pending', reason = NULL, code = NULL, detail = NULL, not_before = '-infinity'
FROM before b
WHERE r.id = b.id
RETURNING r.sender_id
