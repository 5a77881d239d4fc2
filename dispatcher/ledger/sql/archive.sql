-- Old campaigns: their messages are dropped with their partition, everything else of them is deleted some at a time.
--
-- What stays are campaigns with their counters, lanes and uploads, and what their reports need. The statements about one
-- partition are run on its tables; see dispatcher/ledger/partitions.py.

-- name: partitions
-- Those that lie before the one in which campaigns begin now; $1 only this one, NULL: all.
SELECT p.first_id AS first, p.end_id - 1 AS last, c.campaigns, c.people, c.ended_at, c.unfinished, l.unsure, l.in_hand,
    coalesce(pg_total_relation_size(to_regclass('messages_' || p.first_id)), 0)
        + coalesce(pg_total_relation_size(to_regclass('members_' || p.first_id)), 0)
        + coalesce(pg_total_relation_size(to_regclass('receipts_' || p.first_id)), 0) AS size_bytes
FROM partitions p
CROSS JOIN LATERAL (
    SELECT count(*) AS campaigns, coalesce(sum(audience), 0)::bigint AS people, max(finished_at) AS ended_at,
        count(*) FILTER (WHERE state NOT IN ('completed', 'cancelled')) AS unfinished
    FROM campaigns
    WHERE id >= p.first_id AND id < p.end_id
) c
CROSS JOIN LATERAL (
    SELECT coalesce(sum(unsure), 0)::bigint AS unsure, coalesce(sum(claimed), 0)::bigint AS in_hand
    FROM lanes
    WHERE campaign_id >= p.first_id AND campaign_id < p.end_id
) l
WHERE p.first_id > 0 AND p.dropped_at IS NULL AND p.end_id <= (SELECT last_value FROM campaigns_id_seq)
  AND ($1::bigint IS NULL OR p.first_id = $1)
ORDER BY p.first_id

-- name: may_drop
-- Not where the ledger is a copy, or behind its fence.
SELECT cardinality(ledger_moved()) = 0

-- name: keep_writers_out
-- Readers go on meanwhile.
LOCK TABLE receipts IN SHARE MODE; LOCK TABLE messages IN SHARE MODE

-- name: differences
-- Whether counters and messages of any campaign from $1 to $2 say something else. Reads the partition once.
WITH found AS (
    SELECT campaign_id, count(*) AS audience,
        count(*) FILTER (WHERE state = 'accepted') AS accepted, count(*) FILTER (WHERE state = 'refused') AS refused,
        count(*) FILTER (WHERE state = 'suppressed') AS suppressed,
        count(*) FILTER (WHERE state = 'cancelled') AS cancelled, count(*) FILTER (WHERE state = 'expired') AS expired
    FROM messages
    GROUP BY campaign_id
), counted AS (
    SELECT c.id AS campaign_id, c.audience, coalesce(sum(l.accepted), 0) AS accepted,
        coalesce(sum(l.refused), 0) AS refused, c.suppressed + coalesce(sum(l.suppressed), 0) AS suppressed,
        c.cancelled, c.expired
    FROM campaigns c
    LEFT JOIN lanes l ON l.campaign_id = c.id
    WHERE c.id BETWEEN $1 AND $2 AND c.audience > 0
    GROUP BY c.id
)
SELECT EXISTS (
    SELECT FROM found f
    FULL JOIN counted c USING (campaign_id)
    WHERE (f.audience, f.accepted, f.refused, f.suppressed, f.cancelled, f.expired)
        IS DISTINCT FROM (c.audience, c.accepted, c.refused, c.suppressed, c.cancelled, c.expired)
      OR f.audience <> f.accepted + f.refused + f.suppressed + f.cancelled + f.expired)

-- name: campaigns_of_audiences
SELECT id FROM campaigns WHERE id BETWEEN $1 AND $2 AND kind = 'audience' ORDER BY id

-- name: keep_report
INSERT INTO archived_reports (campaign_id, report) VALUES ($1, $2)

-- name: archive
UPDATE campaigns SET archived_at = ledger_now() WHERE id BETWEEN $1 AND $2

-- name: drop
DROP TABLE messages; DROP TABLE members; DROP TABLE receipts

-- name: note_dropped
UPDATE partitions SET dropped_at = ledger_now() WHERE first_id = $1

-- name: dropped
SELECT first_id, end_id FROM partitions WHERE dropped_at IS NOT NULL ORDER BY first_id

-- name: clear_attempts
-- $3 at most, of campaigns from $1 to before $2. Returns how many.
WITH gone AS (
    DELETE FROM attempts WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM attempts WHERE campaign_id >= $1 AND campaign_id < $2 LIMIT $3))
    RETURNING 1
)
SELECT count(*) FROM gone

-- name: clear_rejected
-- The same of rows that never became messages.
WITH gone AS (
    DELETE FROM rejected_rows WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM rejected_rows WHERE campaign_id >= $1 AND campaign_id < $2 LIMIT $3))
    RETURNING 1
)
SELECT count(*) FROM gone

-- name: forget_partition
DELETE FROM partitions WHERE first_id = $1 AND dropped_at IS NOT NULL

-- name: forget_news
-- News of accounts that came more than $1 ago; $2 at most. Returns how many.
WITH gone AS (
    DELETE FROM account_news WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM account_news WHERE received_at < ledger_now() - $1::interval ORDER BY received_at LIMIT $2))
    RETURNING 1
)
SELECT count(*) FROM gone

-- name: forget_audit
-- Entries of the audit log, which are numbered as they come: of the oldest $2 those of more than $1 ago. Returns how many.
WITH oldest AS (
    SELECT id, last_at FROM audit_log ORDER BY id LIMIT $2
), gone AS (
    DELETE FROM audit_log USING oldest
    WHERE audit_log.id = oldest.id AND oldest.last_at < ledger_now() - $1::interval
    RETURNING 1
)
SELECT count(*) FROM gone
