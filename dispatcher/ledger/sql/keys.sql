-- Keys of the HTTP API: found by their public prefix at every call.

-- name: add
INSERT INTO api_keys (name, prefix, digest, scopes, rate_milli_per_s, expires_at)
VALUES ($1, $2, $3, $4, $5, $6)
RETURNING *

-- name: by_prefix
SELECT * FROM api_keys WHERE prefix = $1

-- name: used
UPDATE api_keys SET last_used_at = ledger_now() WHERE id = $1

-- name: all
SELECT * FROM api_keys ORDER BY id

-- name: revoke
-- The first revocation stands.
UPDATE api_keys k
SET revoked_at = coalesce(k.revoked_at, ledger_now())
FROM (SELECT id, revoked_at FROM api_keys WHERE id = $1 FOR UPDATE) was
WHERE k.id = was.id
RETURNING k.*, was.revoked_at IS NULL AS is_news
