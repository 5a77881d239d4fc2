-- Partitions: ranges of campaigns whose messages and receipts lie together. Which there are, and when the next begins.

-- name: all
SELECT first_id, end_id FROM partitions WHERE dropped_at IS NULL ORDER BY first_id

-- name: of_campaigns
SELECT c.id AS campaign_id, p.first_id
FROM unnest($1::bigint[]) AS c (id)
JOIN partitions p ON p.first_id <= c.id AND p.end_id > c.id AND p.dropped_at IS NULL

-- name: lock
-- One process at a time changes partitions, until its transaction ends.
SELECT pg_advisory_xact_lock($1)

-- name: wait_at_most
-- In milliseconds, for the locks of this transaction: whoever waits for a lock keeps all who come later waiting behind.
SELECT set_config('lock_timeout', $1, true)

-- name: add
SELECT add_partition($1, $2)

-- name: hold_numbers
-- why: of all that can be done to a sequence, only this keeps others from taking numbers until the transaction ends.
ALTER SEQUENCE campaigns_id_seq CACHE 1

-- name: last_number
SELECT last_value FROM campaigns_id_seq

-- name: go_on_from
SELECT setval('campaigns_id_seq', $1, false)

-- name: newest
-- The newest first, with the first campaign of each: NULL where none has come yet.
SELECT first_id, end_id, ledger_now() AS now, (
        SELECT created_at FROM campaigns WHERE id >= first_id AND id < end_id ORDER BY id LIMIT 1) AS began_at
FROM partitions
ORDER BY first_id DESC

-- name: with_live_campaigns
SELECT DISTINCT p.first_id
FROM campaigns c
JOIN partitions p ON p.first_id <= c.id AND p.end_id > c.id
WHERE c.state IN ('draft', 'running', 'paused')
ORDER BY p.first_id
