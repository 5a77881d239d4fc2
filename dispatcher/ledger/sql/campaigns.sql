-- A campaign's life: what its owner orders, and what it has come to.

-- name: create
INSERT INTO campaigns (name, template, language, mapping, columns, weight, priority, deadline, unsure_policy,
    idempotency_key, kind, metadata)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
ON CONFLICT (idempotency_key) DO NOTHING
RETURNING *, EXISTS (SELECT FROM partitions WHERE first_id <= id AND end_id > id) AS has_a_place

-- name: add_lanes
INSERT INTO lanes (campaign_id, sender_id) SELECT $1, unnest($2::bigint[])

-- name: by_key
SELECT id FROM campaigns WHERE idempotency_key = $1

-- name: find
SELECT c AS campaign, ARRAY(SELECT sender_id FROM lanes WHERE campaign_id = c.id ORDER BY sender_id) AS sender_ids
FROM campaigns c
WHERE c.id = $1

-- name: recent
SELECT c AS campaign, ARRAY(SELECT sender_id FROM lanes WHERE campaign_id = c.id ORDER BY sender_id) AS sender_ids
FROM campaigns c
WHERE c.kind = 'audience'
ORDER BY c.id DESC
LIMIT $1

-- name: delete_draft
-- An import that broke leaves nothing behind.
DELETE FROM campaigns WHERE id = $1 AND state = 'draft' AND audience = 0 RETURNING id

-- name: lock
SELECT c AS campaign, ARRAY(SELECT sender_id FROM lanes WHERE campaign_id = c.id ORDER BY sender_id) AS sender_ids
FROM campaigns c
WHERE c.id = $1
FOR UPDATE

-- name: change
-- Write what may be edited anew; the caller read it in the same transaction.
UPDATE campaigns
SET name = $2, weight = $3, priority = $4, deadline = $5, unsure_policy = $6, metadata = $7
WHERE id = $1

-- name: move
-- Compare-and-set: $2 is where it goes, $3 from where it may, $4 why a guard pauses it. Returns where it was.
UPDATE campaigns c
SET state = $2,
    paused_because = $4,
    started_at = CASE WHEN $2 = 'running' THEN coalesce(c.started_at, ledger_now()) ELSE c.started_at END,
    finished_at = CASE WHEN $2 IN ('completed', 'cancelled') THEN ledger_now() END
FROM (SELECT id, state FROM campaigns WHERE id = $1 FOR UPDATE) was
WHERE c.id = was.id AND was.state = ANY ($3::text[])
RETURNING was.state

-- name: poke_lanes
-- The campaign's lanes look again at once, also those whose turn is just ending. However late they were, they are due
-- from now on: somebody has ordered it.
UPDATE lanes
SET poked = turn_id IS NOT NULL, next_at = ledger_now()
WHERE campaign_id = $1
RETURNING id, generation

-- name: drop_some
-- Give up the next unsent people ($2: cancelled or expired), a bounded number at a time. The order and the turns that are
-- ending may do so at once: each takes what the others have left.
WITH dropped AS (
    UPDATE messages
    SET state = $2, reason = $3, not_before = '-infinity'
    WHERE campaign_id = $1 AND state = 'pending' AND id IN (
        SELECT id FROM messages WHERE campaign_id = $1 AND state = 'pending' LIMIT $4 FOR UPDATE SKIP LOCKED)
    RETURNING id
), counted AS (
    SELECT count(*) AS n FROM dropped
), campaign AS (
    UPDATE campaigns
    SET cancelled = cancelled + CASE WHEN $2 = 'cancelled' THEN n ELSE 0 END,
        expired = expired + CASE WHEN $2 = 'expired' THEN n ELSE 0 END
    FROM counted
    WHERE id = $1 AND n > 0
)
SELECT n FROM counted

-- name: turns_running
SELECT count(*) FROM lanes WHERE campaign_id = $1 AND turn_id IS NOT NULL

-- name: counts
-- Every person in exactly one state, from counters only: what is pending is what is left.
WITH lane AS (
    SELECT coalesce(sum(claimed), 0)::bigint AS claimed, coalesce(sum(accepted), 0)::bigint AS accepted,
        coalesce(sum(refused), 0)::bigint AS refused, coalesce(sum(unsure), 0)::bigint AS unsure,
        coalesce(sum(suppressed), 0)::bigint AS suppressed
    FROM lanes
    WHERE campaign_id = $1
)
SELECT c.audience, lane.claimed, lane.accepted, lane.refused, lane.unsure, c.suppressed + lane.suppressed AS suppressed,
    c.cancelled, c.expired,
    c.audience - lane.claimed - lane.accepted - lane.refused - lane.unsure - c.suppressed - lane.suppressed
        - c.cancelled - c.expired AS pending
FROM campaigns c, lane
WHERE c.id = $1

-- name: counts_from_rows
-- The same, from the messages themselves; reads the whole campaign.
SELECT count(*) AS audience,
    count(*) FILTER (WHERE state = 'pending') AS pending,
    count(*) FILTER (WHERE state = 'claimed') AS claimed,
    count(*) FILTER (WHERE state = 'accepted') AS accepted,
    count(*) FILTER (WHERE state = 'refused') AS refused,
    count(*) FILTER (WHERE state = 'unsure') AS unsure,
    count(*) FILTER (WHERE state = 'suppressed') AS suppressed,
    count(*) FILTER (WHERE state = 'cancelled') AS cancelled,
    count(*) FILTER (WHERE state = 'expired') AS expired
FROM messages
WHERE campaign_id = $1

-- name: lanes
-- A campaign's lanes with their senders and holds, and whether the ledger may send at all.
SELECT l.*, s AS sender, (SELECT ledger_moved()) AS moved
FROM lanes l
JOIN senders s ON s.id = l.sender_id
WHERE l.campaign_id = $1
ORDER BY s.name

-- name: parked
-- Pending messages that wait for a time of their own.
SELECT reason, count(*) AS people, min(not_before) AS until
FROM messages
WHERE campaign_id = $1 AND state = 'pending' AND not_before > ledger_now()
GROUP BY reason

-- name: export
-- Everybody of the audience file in the order of its lines: messages and rejected rows alike.
SELECT m.line, m.person AS phone, m.state, m.reason, m.code, m.detail, s.name AS sender, m.attempt, m.posted_at,
    m.wamid, m.id AS message_id, r.state AS receipt, r.delivered_at, r.read_at, r.code AS receipt_code
FROM messages m
LEFT JOIN senders s ON s.id = m.sender_id
LEFT JOIN receipts r ON r.campaign_id = m.campaign_id AND r.message_id = m.id AND r.wamid = m.wamid
WHERE m.campaign_id = $1
UNION ALL
SELECT r.line, r.value, 'rejected', r.reason, NULL, r."column", NULL, NULL, NULL, NULL, NULL,
    NULL, NULL, NULL, NULL
FROM rejected_rows r
WHERE r.campaign_id = $1
ORDER BY 1

-- name: message
SELECT m.*, nullif(m.not_before, '-infinity') AS free_at, s.name AS sender
FROM messages m
LEFT JOIN senders s ON s.id = m.sender_id
WHERE m.campaign_id = $1 AND m.id = $2

-- name: message_to
SELECT m.*, nullif(m.not_before, '-infinity') AS free_at, s.name AS sender
FROM messages m
LEFT JOIN senders s ON s.id = m.sender_id
WHERE m.campaign_id = $1 AND m.id = (SELECT message_id FROM members WHERE campaign_id = $1 AND person_key = $2)

-- name: attempts_of_message
SELECT a.*, s.name AS sender
FROM attempts a
JOIN senders s ON s.id = a.sender_id
WHERE a.campaign_id = $1 AND a.message_id = $2
ORDER BY attempt

-- name: receipts_of_message
SELECT * FROM receipts WHERE campaign_id = $1 AND message_id = $2 ORDER BY attempt

-- name: campaign_ids
-- Those whose messages are here; of the others it was proved before they were dropped.
SELECT id FROM campaigns WHERE archived_at IS NULL ORDER BY id

-- name: waits_without_reason
-- Pending messages that are parked without a reason, and held lanes without one; there must be none.
SELECT count(*) FROM messages WHERE state = 'pending' AND not_before > ledger_now() AND reason IS NULL

-- name: stray_claims
-- Claimed messages whose turn is not running; there must be none, except for the moment of a reaping.
SELECT count(*)
FROM messages m
WHERE m.campaign_id = $1 AND m.state = 'claimed'
  AND NOT EXISTS (SELECT FROM lanes l WHERE l.campaign_id = m.campaign_id AND l.turn_id = m.claim_id)
