-- The inbox of webhooks: written many at a time, taken oldest first, and what is put aside of it.

-- name: add
-- All or none; ids follow the order of the arrays.
INSERT INTO inbox (body, is_urgent) SELECT * FROM unnest($1::bytea[], $2::boolean[])

-- name: take
-- At most $1 bodies and about $2 bytes, at least one body; what another worker has taken is left to it. They leave the
-- inbox with the transaction that asks. Sizes are known without reading the bodies.
-- Urgent ones come first and alone: what people say waits for no report, and their transaction is short.
WITH urgent AS MATERIALIZED (
    SELECT id, octet_length(body) AS bytes FROM inbox WHERE is_urgent ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED
), others AS MATERIALIZED (
    SELECT id, octet_length(body) AS bytes FROM inbox
    WHERE NOT EXISTS (SELECT FROM urgent)
    ORDER BY id
    LIMIT $1
    FOR UPDATE SKIP LOCKED
), fitting AS (
    SELECT id
    FROM (SELECT id, sum(bytes) OVER (ORDER BY id) - bytes AS bytes_before
        FROM (TABLE urgent UNION ALL TABLE others) AS oldest) AS sized
    WHERE bytes_before < $2
), taken AS (
    DELETE FROM inbox USING fitting WHERE inbox.id = fitting.id RETURNING inbox.id, received_at, body
)
SELECT received_at, body FROM taken ORDER BY id

-- name: urgent
-- The first and the last urgent body that is not applied yet; those being applied at this moment are among them.
SELECT min(id) AS first, max(id) AS last FROM inbox WHERE is_urgent

-- name: waiting
SELECT count(*) AS bodies, min(received_at) AS oldest FROM inbox

-- name: put_aside
INSERT INTO quarantine (received_at, reason, detail, body, retry_at)
SELECT * FROM unnest($1::timestamptz[], $2::text[], $3::text[], $4::bytea[], $5::timestamptz[])

-- name: quarantined
-- The newest first; of one reason, or of all with NULL.
SELECT id, received_at, at, reason, detail, body, retry_at
FROM quarantine
WHERE $2::text IS NULL OR reason = $2
ORDER BY id DESC
LIMIT $1

-- name: piece
SELECT id, received_at, at, reason, detail, body, retry_at FROM quarantine WHERE id = $1

-- name: replay
-- Back into the inbox: those with these ids, and those of this reason.
WITH taken AS (
    DELETE FROM quarantine WHERE id = ANY ($1::bigint[]) OR reason = $2 RETURNING id, received_at, body
), back AS (
    INSERT INTO inbox (received_at, body) SELECT received_at, body FROM taken ORDER BY id RETURNING 1
)
SELECT count(*) FROM back

-- name: retry_due
-- Back into the inbox: those whose time has come.
WITH taken AS (
    DELETE FROM quarantine WHERE retry_at <= ledger_now() RETURNING id, received_at, body
), back AS (
    INSERT INTO inbox (received_at, body) SELECT received_at, body FROM taken ORDER BY id RETURNING 1
)
SELECT count(*) FROM back

-- name: discard
WITH gone AS (DELETE FROM quarantine WHERE id = ANY ($1::bigint[]) RETURNING 1) SELECT count(*) FROM gone
