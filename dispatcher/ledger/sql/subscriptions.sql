-- Subscriptions as people and programs order them. What is delivered to them is in outbox.sql.

-- name: lock
-- One order about subscriptions at a time, so that each sees all that the triggers are for. Triggers still read.
LOCK TABLE subscriptions IN SHARE ROW EXCLUSIVE MODE

-- name: add
WITH added AS (
    INSERT INTO subscriptions (url, kinds, sender_ids, format, secret_ref) VALUES ($1, $2, $3, $4, $5) RETURNING id
)
INSERT INTO deliveries (subscription_id) SELECT id FROM added RETURNING subscription_id

-- name: all
-- Those after $1, in the order of their numbers, $2 at most; $3 only this one, NULL: all. With how delivery stands; what
-- waits is counted up to $4.
SELECT s.*, ARRAY(SELECT name FROM senders WHERE id = ANY (s.sender_ids) ORDER BY name) AS senders,
    d.failing_since, d.failures, d.last_error, d.delivered_at,
    CASE WHEN s.is_enabled AND d.next_at > ledger_now() THEN d.next_at END AS next_at, o.pending, o.oldest_at, x.dead
FROM subscriptions s
JOIN deliveries d ON d.subscription_id = s.id
CROSS JOIN LATERAL (
    SELECT count(*) AS pending, min(at) AS oldest_at
    FROM (SELECT at FROM outbox WHERE subscription_id = s.id ORDER BY id LIMIT $4 + 1) AS first) o
CROSS JOIN LATERAL (
    SELECT count(*) AS dead
    FROM (SELECT FROM dead_events WHERE subscription_id = s.id ORDER BY id LIMIT $4 + 1) AS first) x
WHERE s.id > $1 AND ($3::bigint IS NULL OR s.id = $3)
ORDER BY s.id
LIMIT $2

-- name: sender_ids
-- The numbers of these senders, in no order.
SELECT id FROM senders WHERE name = ANY ($1::text[])

-- name: change
-- Write what may be changed anew. One that is enabled again begins at once, without a past.
WITH changed AS (
    UPDATE subscriptions
    SET url = $2, kinds = $3, sender_ids = $4, is_enabled = $5, stopped = $6, changed_at = ledger_now()
    WHERE id = $1
)
UPDATE deliveries
SET turn_id = NULL, owner = NULL, lease_until = NULL, next_at = '-infinity', failing_since = NULL, failures = 0,
    last_error = CASE WHEN $5 THEN NULL ELSE last_error END
WHERE subscription_id = $1

-- name: rotate
-- $2 the new secret; the one before it still signs for so long ($3).
UPDATE subscriptions
SET former_secret_ref = secret_ref, former_secret_until = ledger_now() + $3::interval, secret_ref = $2,
    changed_at = ledger_now()
WHERE id = $1

-- name: sealed
-- All secrets, to be sealed anew. One that signs no more is forgotten.
SELECT id, secret_ref, CASE WHEN former_secret_until > ledger_now() THEN former_secret_ref END AS former_secret_ref
FROM subscriptions
ORDER BY id

-- name: reseal
UPDATE subscriptions SET secret_ref = $2, former_secret_ref = $3 WHERE id = $1

-- name: remove
-- What waits for it is cleared away by upkeep; it may be much, and more may be written while this happens.
DELETE FROM subscriptions WHERE id = $1

-- name: remove_dead
DELETE FROM dead_events WHERE subscription_id = $1
