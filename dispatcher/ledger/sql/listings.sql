-- Pages for people and machines, each from where the last one ended: what a page costs does not depend on how much there
-- is. Messages have no index for this but their primary key, since any other would be paid for by every message sent; so a
-- page of one state looks at a bounded number of them, and may come back short.

-- name: campaigns
-- The newest first, with their counts by the counters; $1 those before this one, NULL: from the newest on. $3 only of this
-- state, NULL: of all.
SELECT c AS campaign, ARRAY(SELECT sender_id FROM lanes WHERE campaign_id = c.id ORDER BY sender_id) AS sender_ids,
    c.audience, lane.claimed, lane.accepted, lane.refused, lane.unsure, c.suppressed + lane.suppressed AS suppressed,
    c.cancelled, c.expired,
    c.audience - lane.claimed - lane.accepted - lane.refused - lane.unsure - c.suppressed - lane.suppressed
        - c.cancelled - c.expired AS pending
FROM campaigns c
CROSS JOIN LATERAL (
    SELECT coalesce(sum(l.claimed), 0)::bigint AS claimed, coalesce(sum(l.accepted), 0)::bigint AS accepted,
        coalesce(sum(l.refused), 0)::bigint AS refused, coalesce(sum(l.unsure), 0)::bigint AS unsure,
        coalesce(sum(l.suppressed), 0)::bigint AS suppressed
    FROM lanes l
    WHERE l.campaign_id = c.id
) lane
WHERE c.kind = 'audience' AND ($1::bigint IS NULL OR c.id < $1) AND ($3::text IS NULL OR c.state = $3)
ORDER BY c.id DESC
LIMIT $2

-- name: uploads
SELECT number, lines, people, suppressed, rejected, at FROM uploads WHERE campaign_id = $1 ORDER BY number

-- name: messages
-- $2 those after this one; $3 of this state, NULL: of all; $4 how many; $5 how many are looked at for them.
-- `last_id` is where the look ended: the page's end, or further on where fewer were found.
WITH looked AS MATERIALIZED (
    SELECT * FROM messages WHERE campaign_id = $1 AND id > $2 ORDER BY id LIMIT $5
), page AS (
    SELECT * FROM looked WHERE $3::text IS NULL OR state = $3 ORDER BY id LIMIT $4
)
SELECT m.id, m.person, m.state, m.reason, m.code, m.detail, m.attempt, nullif(m.not_before, '-infinity') AS not_before,
    m.posted_at, m.wamid, s.name AS sender, u.number AS upload, m.line - coalesce(u.lines_before, 0) AS line,
    r.state AS receipt, r.delivered_at, r.read_at, r.code AS receipt_code,
    (SELECT count(*) FROM looked) = $5 AS has_more, (SELECT max(id) FROM looked) AS last_id
FROM page m
LEFT JOIN senders s ON s.id = m.sender_id
LEFT JOIN receipts r ON r.campaign_id = $1 AND r.message_id = m.id AND r.wamid = m.wamid
LEFT JOIN LATERAL (
    SELECT number, lines_before FROM uploads
    WHERE campaign_id = m.campaign_id AND lines_before < m.line
    ORDER BY lines_before DESC LIMIT 1
) u ON true
ORDER BY m.id

-- name: look_ends
-- Where a look of $3 messages from $2 on ends, for a page that found none; NULL: at the end of the campaign.
SELECT id FROM messages WHERE campaign_id = $1 AND id > $2 ORDER BY id OFFSET $3 - 1 LIMIT 1

-- name: rejected
-- Rejected rows after line $2 of the campaign, in the order of the uploads.
SELECT r.line AS campaign_line, u.number AS upload, r.line - coalesce(u.lines_before, 0) AS line, r."column", r.reason,
    r.value
FROM rejected_rows r
LEFT JOIN LATERAL (
    SELECT number, lines_before FROM uploads
    WHERE campaign_id = r.campaign_id AND lines_before < r.line
    ORDER BY lines_before DESC LIMIT 1
) u ON true
WHERE r.campaign_id = $1 AND r.line > $2
ORDER BY r.line
LIMIT $3

-- name: suppressions
-- By person; $1 those after this key.
SELECT person_key, person, reason, source, at, until
FROM suppressions
WHERE person_key > $1 AND (until IS NULL OR until > ledger_now())
ORDER BY person_key
LIMIT $2

-- name: unsure
-- By campaign and message, from the partial index; those after $1 and $2. $4 the grace.
SELECT m.campaign_id, c.name AS campaign, m.id AS message_id, m.attempt, m.person, s.name AS sender, m.posted_at, m.reason,
    m.code, m.detail, c.unsure_policy,
    CASE WHEN c.unsure_policy <> 'ask' THEN m.posted_at + $4::interval END AS decides_at
FROM messages m
JOIN campaigns c ON c.id = m.campaign_id
LEFT JOIN senders s ON s.id = m.sender_id
WHERE m.state = 'unsure' AND (m.campaign_id, m.id) > ($1, $2)
ORDER BY m.campaign_id, m.id
LIMIT $3

-- name: plan_anew
-- For the rest of a transaction: what follows is planned for its arguments. Where one of them may be NULL, for "whichever",
-- one plan for all reads everything to find the few of one sender.
SET LOCAL plan_cache_mode = force_custom_plan

-- name: quarantine
-- The newest first; $1 those before this one, NULL: from the newest on.
SELECT id, received_at, at, reason, detail, retry_at, octet_length(body) AS bytes
FROM quarantine
WHERE $1::bigint IS NULL OR id < $1
ORDER BY id DESC
LIMIT $2
