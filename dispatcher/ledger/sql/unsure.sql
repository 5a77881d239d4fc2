-- Messages whose answer was lost, and how they end: by a receipt (see receipts.sql), by their campaign's policy, or by an
-- operator. None of them is ever posted again but by `release`.

-- name: list
-- For people: what is unsure, and who decides. $1 NULL: of all campaigns. $3 the grace.
SELECT m.campaign_id, c.name AS campaign, m.id AS message_id, m.attempt, m.person, s.name AS sender, m.posted_at, m.reason,
    m.code, m.detail, c.unsure_policy,
    CASE WHEN c.unsure_policy <> 'ask' THEN m.posted_at + $3::interval END AS decides_at
FROM messages m
JOIN campaigns c ON c.id = m.campaign_id
LEFT JOIN senders s ON s.id = m.sender_id
WHERE m.state = 'unsure' AND ($1::bigint IS NULL OR m.campaign_id = $1)
ORDER BY m.campaign_id, m.id
LIMIT $2

-- name: count
-- From the partial index, so that it costs what there is.
SELECT count(*) FROM messages WHERE state = 'unsure' AND ($1::bigint IS NULL OR campaign_id = $1)

-- name: of_campaign
-- The next ones that an operator has decided about.
-- $2 only these messages; NULL: all.
SELECT campaign_id, id AS message_id, attempt
FROM messages
WHERE campaign_id = $1 AND state = 'unsure' AND ($2::bigint[] IS NULL OR id = ANY ($2))
ORDER BY id
LIMIT $3

-- name: due
-- Unsure for so long ($1) that the campaign's policy decides; nobody is decided on while webhooks wait to be read, or
-- where a report has come. `resend` is only for campaigns that are still wanted, and $3 times at most.
SELECT m.campaign_id, m.id AS message_id, m.attempt,
    c.unsure_policy = 'resend' AND c.state IN ('running', 'paused', 'completed')
        AND (c.deadline IS NULL OR c.deadline > ledger_now())
        AND (SELECT count(*) FROM attempts a WHERE a.campaign_id = m.campaign_id AND a.message_id = m.id
            AND a.reason = 'unsure') < $3 AS is_resent
FROM messages m
JOIN campaigns c ON c.id = m.campaign_id
WHERE m.state = 'unsure' AND c.unsure_policy <> 'ask' AND m.posted_at < ledger_now() - $1::interval
  AND NOT EXISTS (SELECT FROM inbox WHERE received_at < ledger_now() - interval '30 seconds')
  AND NOT EXISTS (SELECT FROM receipts r
    WHERE r.campaign_id = m.campaign_id AND r.message_id = m.id AND r.attempt = m.attempt)
ORDER BY m.campaign_id, m.id
LIMIT $2

-- name: settle
-- $3 accepted or refused; $4 why.
WITH asked AS (
    SELECT * FROM unnest($1::bigint[], $2::bigint[]) AS a (campaign_id, id)
), done AS (
    UPDATE messages m
    SET state = $3, reason = $4
    FROM asked
    WHERE m.campaign_id = asked.campaign_id AND m.id = asked.id AND m.state = 'unsure'
    RETURNING m.campaign_id, m.sender_id
), counted AS (
    SELECT campaign_id, sender_id, count(*) AS n FROM done GROUP BY campaign_id, sender_id
), lane AS (
    UPDATE lanes l
    SET unsure = l.unsure - n,
        accepted = l.accepted + CASE WHEN $3 = 'accepted' THEN n ELSE 0 END,
        refused = l.refused + CASE WHEN $3 = 'refused' THEN n ELSE 0 END
    FROM counted c
    WHERE l.campaign_id = c.campaign_id AND l.sender_id = c.sender_id
)
SELECT count(*) FROM done

-- name: release
-- To be posted again, though it may have arrived: the unsure attempt stays on record.
WITH asked AS (
    SELECT * FROM unnest($1::bigint[], $2::bigint[]) AS a (campaign_id, id)
), before AS (
    SELECT m.*
    FROM messages m
    JOIN asked USING (campaign_id, id)
    JOIN campaigns c ON c.id = m.campaign_id
    WHERE m.state = 'unsure' AND c.state <> 'cancelled'
    FOR UPDATE OF m
), kept AS (
    INSERT INTO attempts (campaign_id, message_id, attempt, sender_id, at, wamid, code, reason, detail)
    SELECT campaign_id, id, attempt, sender_id, coalesce(posted_at, ledger_now()), wamid, code, 'unsure',
        concat_ws(': ', reason, nullif(detail, ''))
    FROM before
    ON CONFLICT DO NOTHING
), done AS (
    UPDATE messages m
    SET state = 'pending', reason = NULL, code = NULL, detail = NULL, not_before = '-infinity'
    FROM before b
    WHERE m.campaign_id = b.campaign_id AND m.id = b.id
    RETURNING m.campaign_id, m.sender_id
), counted AS (
    SELECT campaign_id, sender_id, count(*) AS n FROM done GROUP BY campaign_id, sender_id
), lane AS (
    UPDATE lanes l SET unsure = l.unsure - n
    FROM counted c
    WHERE l.campaign_id = c.campaign_id AND l.sender_id = c.sender_id
)
SELECT campaign_id, count(*) AS released FROM done GROUP BY campaign_id
