-- Receipts: booked to their attempt, also of replies (campaign 0), and what follows for messages.
--
-- Locks are taken in one order everywhere: receipts, campaigns, lanes, messages.
-- What is done to messages or receipts is run in each partition by itself; see dispatcher/ledger/partitions.py.

-- name: by_wamid
-- Reports without our token: which attempts are meant. By the person ($2, NULL where unknown), in campaigns that were
-- started within the time for which Meta reports; and by Meta's id among earlier attempts and replies.
-- LATERAL and OFFSET, so that each campaign is looked for in its partition and not in all of them.
SELECT asked.wamid, m.campaign_id, m.id AS message_id, m.attempt
FROM unnest($1::text[], $2::text[]) AS asked (wamid, person_key)
JOIN campaigns c ON c.started_at > ledger_now() - interval '35 days'
CROSS JOIN LATERAL (SELECT message_id FROM members WHERE campaign_id = c.id AND person_key = asked.person_key OFFSET 0) a
CROSS JOIN LATERAL (
    SELECT campaign_id, id, attempt, wamid FROM messages WHERE campaign_id = c.id AND id = a.message_id OFFSET 0) m
WHERE m.wamid = asked.wamid
UNION ALL
SELECT wamid, campaign_id, message_id, attempt FROM attempts WHERE wamid = ANY ($1::text[])
UNION ALL
SELECT wamid, 0, id, attempt FROM replies WHERE wamid = ANY ($1::text[])

-- name: book
-- Merge reports into their rows; one array per column, each attempt once.
-- Answers only with what needs a second look: attempts of messages that do not exist (no state), that are not plainly
-- accepted, and failures.
WITH news AS (
    SELECT *
    FROM unnest($1::bigint[], $2::bigint[], $3::smallint[], $4::text[], $5::timestamptz[], $6::timestamptz[],
        $7::timestamptz[], $8::timestamptz[], $9::timestamptz[], $10::int[], $11::text[], $12::text[], $13::boolean[])
        AS n (campaign_id, message_id, attempt, wamid, sent_at, delivered_at, read_at, played_at, failed_at, code, detail,
            price_category, is_billable)
), known AS (
    SELECT n.*, m.state AS message_state
    FROM news n
    JOIN messages m ON m.campaign_id = n.campaign_id AND m.id = n.message_id
    UNION ALL
    SELECT n.*, r.state
    FROM news n
    JOIN replies r ON n.campaign_id = 0 AND r.id = n.message_id
), written AS (
    INSERT INTO receipts AS r (campaign_id, message_id, attempt, wamid, sent_at, delivered_at, read_at, played_at,
        failed_at, code, detail, price_category, is_billable)
    SELECT campaign_id, message_id, attempt, wamid, sent_at, delivered_at, read_at, played_at,
        failed_at, code, detail, price_category, is_billable
    FROM known
    ORDER BY campaign_id, message_id, attempt
    ON CONFLICT (campaign_id, message_id, attempt) DO UPDATE
    SET sent_at = least(r.sent_at, excluded.sent_at),
        delivered_at = least(r.delivered_at, excluded.delivered_at),
        read_at = least(r.read_at, excluded.read_at),
        played_at = least(r.played_at, excluded.played_at),
        failed_at = least(r.failed_at, excluded.failed_at),
        code = least(r.code, excluded.code),
        detail = least(r.detail, excluded.detail),
        price_category = least(r.price_category, excluded.price_category),
        is_billable = least(r.is_billable, excluded.is_billable)
)
SELECT n.campaign_id, n.message_id, n.attempt, k.message_state
FROM news n
LEFT JOIN known k USING (campaign_id, message_id, attempt)
WHERE k.message_state IS DISTINCT FROM 'accepted' OR n.failed_at IS NOT NULL

-- name: archived
-- Of these campaigns those whose messages were dropped as old.
SELECT id FROM campaigns WHERE id = ANY ($1::bigint[]) AND archived_at IS NOT NULL

-- name: lock_lanes
-- Before their messages, as every settling does it.
SELECT id FROM lanes WHERE campaign_id = ANY ($1::bigint[]) ORDER BY id FOR UPDATE

-- name: settle_by_receipt
-- Meta has the message after all: whatever was unsure, given up as unsure, or about to be posted again is accepted.
-- For an unsure attempt any report will do, also a failure: Meta had taken it.
WITH asked AS (
    SELECT DISTINCT * FROM unnest($1::bigint[], $2::bigint[]) AS a (campaign_id, message_id)
), told AS (
    SELECT DISTINCT ON (m.campaign_id, m.id) m.campaign_id, m.id, m.state AS was, r.attempt, r.wamid,
        least(r.sent_at, r.delivered_at, r.read_at, r.played_at, r.failed_at) AS at,
        coalesce(m.sender_id, (SELECT l.sender_id FROM lanes l WHERE l.campaign_id = m.campaign_id ORDER BY l.id LIMIT 1))
            AS sender_id
    FROM asked a
    JOIN messages m ON m.campaign_id = a.campaign_id AND m.id = a.message_id
    JOIN receipts r ON r.campaign_id = m.campaign_id AND r.message_id = m.id
    WHERE (m.state = 'unsure' AND r.attempt = m.attempt)
       OR (r.state <> 'failed' AND (m.state IN ('unsure', 'pending')
            OR (m.state = 'refused' AND m.reason = 'unsure_given_up')))
    ORDER BY m.campaign_id, m.id, r.state = 'failed', r.attempt DESC
), done AS (
    UPDATE messages m
    SET state = 'accepted', wamid = told.wamid, attempt = greatest(m.attempt, told.attempt), not_before = '-infinity',
        reason = NULL, code = NULL, detail = NULL, posted_at = coalesce(m.posted_at, told.at),
        sender_id = told.sender_id
    FROM told
    WHERE m.campaign_id = told.campaign_id AND m.id = told.id AND m.state = told.was
    RETURNING m.campaign_id, m.id, m.sender_id, told.was, told.attempt
), forgotten AS (
    DELETE FROM attempts a USING done
    WHERE a.campaign_id = done.campaign_id AND a.message_id = done.id AND a.attempt = done.attempt
), counted AS (
    SELECT campaign_id, sender_id, count(*) AS accepted, count(*) FILTER (WHERE was = 'unsure') AS unsure,
        count(*) FILTER (WHERE was = 'refused') AS refused
    FROM done
    GROUP BY campaign_id, sender_id
), lane AS (
    UPDATE lanes l
    SET accepted = l.accepted + c.accepted, unsure = l.unsure - c.unsure, refused = l.refused - c.refused
    FROM counted c
    WHERE l.campaign_id = c.campaign_id AND l.sender_id = c.sender_id
)
SELECT campaign_id, count(*) AS settled, count(*) FILTER (WHERE was = 'pending') AS were_pending
FROM done
GROUP BY campaign_id

-- name: failures
-- Failed attempts whose consequences nobody has drawn yet, with all that is needed to draw them. Each is told once.
WITH asked AS (
    SELECT DISTINCT * FROM unnest($1::bigint[], $2::bigint[], $3::smallint[]) AS a (campaign_id, message_id, attempt)
), failed AS (
    UPDATE receipts r
    SET is_followed = true
    FROM asked a
    WHERE r.campaign_id = a.campaign_id AND r.message_id = a.message_id AND r.attempt = a.attempt
      AND r.state = 'failed' AND NOT r.is_followed
    RETURNING r.*
)
SELECT f.campaign_id, f.message_id, f.attempt, f.code, f.detail, m.person, m.person_key, c.template, c.language,
    s AS sender,
    m.state = 'accepted' AND m.attempt = f.attempt AND c.state <> 'cancelled' AS may_reopen,
    c.deadline,
    (SELECT count(*) FROM attempts b WHERE b.campaign_id = f.campaign_id AND b.message_id = f.message_id
        AND b.attempt <> f.attempt AND b.code = f.code) AS failed_before
FROM failed f
JOIN campaigns c ON c.id = f.campaign_id
JOIN messages m ON m.campaign_id = f.campaign_id AND m.id = f.message_id
LEFT JOIN attempts a ON a.campaign_id = f.campaign_id AND a.message_id = f.message_id AND a.attempt = f.attempt
JOIN senders s ON s.id = coalesce(a.sender_id, m.sender_id)

-- name: revive_campaigns
-- Somebody is pending again. Also locks the campaigns, so that none is completed meanwhile.
UPDATE campaigns
SET state = CASE state WHEN 'completed' THEN 'running' ELSE state END,
    finished_at = CASE state WHEN 'completed' THEN NULL ELSE finished_at END
WHERE id IN (SELECT id FROM campaigns WHERE id = ANY ($1::bigint[]) ORDER BY id FOR UPDATE)

-- name: reopen
-- Another attempt of a message that Meta had taken and could not deliver; the failed one stays on record.
-- $4 not before; NULL where a hold, not a time, has to end first.
WITH before AS (
    SELECT * FROM messages WHERE campaign_id = $1 AND id = $2 AND state = 'accepted' AND attempt = $3 FOR UPDATE
), kept AS (
    INSERT INTO attempts (campaign_id, message_id, attempt, sender_id, at, wamid, code, reason, detail)
    SELECT campaign_id, id, attempt, sender_id, coalesce(posted_at, ledger_now()), wamid, $6, $5, $7 FROM before
    ON CONFLICT DO NOTHING
), reopened AS (
    UPDATE messages m
    SET state = 'pending', not_before = coalesce($4::timestamptz, '-infinity'), reason = $5, code = $6, detail = $7,
        wamid = NULL
    FROM before b
    WHERE m.campaign_id = b.campaign_id AND m.id = b.id
    RETURNING m.sender_id
), counted AS (
    UPDATE lanes SET accepted = accepted - 1
    WHERE campaign_id = $1 AND sender_id IN (SELECT sender_id FROM reopened)
)
SELECT count(*) FROM reopened

-- name: call_lanes
-- Idle lanes of a campaign are due at that time, if not before.
UPDATE lanes
SET next_at = least(coalesce(next_at, 'infinity'), coalesce($2::timestamptz, ledger_now()))
WHERE campaign_id = $1 AND turn_id IS NULL

-- name: known_numbers
SELECT phone_number_id FROM senders WHERE phone_number_id = ANY ($1::text[])

-- name: keep_account_news
INSERT INTO account_news (key, waba_id, field, value, at)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::jsonb[], $5::timestamptz[])
ORDER BY 1
ON CONFLICT (key) DO NOTHING
RETURNING key

-- name: unsure_with_receipt
-- A report was booked while the message was still in a turn's hands, and the turn's own answer was lost.
SELECT m.campaign_id, m.id AS message_id, r.attempt
FROM messages m
JOIN receipts r ON r.campaign_id = m.campaign_id AND r.message_id = m.id AND r.attempt = m.attempt
WHERE m.state = 'unsure'
LIMIT $1
