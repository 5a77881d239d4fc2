-- Dead letters: events that nobody took in time, until somebody replays or purges them.

-- name: page
-- Of a subscription ($1), in the order in which they became true, those after $2.
SELECT id, kind, at, body, died_at, error FROM dead_events WHERE subscription_id = $1 AND id > $2 ORDER BY id LIMIT $3

-- name: replay
-- Back into the outbox, under the ids that they had. $2 only these, $3 only what became true since then; NULL: all.
WITH chosen AS (
    DELETE FROM dead_events
    WHERE subscription_id = $1 AND ($2::bigint[] IS NULL OR id = ANY ($2)) AND ($3::timestamptz IS NULL OR at >= $3)
    RETURNING *
), queued AS (
    INSERT INTO outbox (subscription_id, id, kind, at, body) OVERRIDING SYSTEM VALUE
    SELECT subscription_id, id, kind, at, body FROM chosen ORDER BY id
)
SELECT count(*) FROM chosen

-- name: purge
-- For good. $2 only these, $3 only what became true before then; NULL: all.
WITH gone AS (
    DELETE FROM dead_events
    WHERE subscription_id = $1 AND ($2::bigint[] IS NULL OR id = ANY ($2)) AND ($3::timestamptz IS NULL OR at < $3)
    RETURNING id
)
SELECT count(*) FROM gone

-- name: forget_old
-- Those that died longer ago than $1; $2 at most.
DELETE FROM dead_events
WHERE ctid = ANY (ARRAY(SELECT ctid FROM dead_events WHERE died_at < ledger_now() - $1::interval LIMIT $2))
