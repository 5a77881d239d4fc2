-- Calls that create something, and what they were answered, so that a repetition is answered and not carried out.

-- name: begin
-- Waits for whoever carries out the same call just now; nothing comes back where that one succeeded, or did so earlier.
INSERT INTO answered_calls (key_id, idempotency_key, fingerprint)
VALUES ($1, $2, $3)
ON CONFLICT DO NOTHING
RETURNING true

-- name: wait_at_most
-- In milliseconds, for the locks of this transaction.
SELECT set_config('lock_timeout', $1, true)

-- name: find
SELECT fingerprint, status, headers, body FROM answered_calls WHERE key_id = $1 AND idempotency_key = $2

-- name: finish
UPDATE answered_calls SET status = $3, headers = $4, body = $5 WHERE key_id = $1 AND idempotency_key = $2

-- name: forget_old
-- Some at a time, so that each call clears more than it leaves and none has much to do.
DELETE FROM answered_calls
WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM answered_calls WHERE at < ledger_now() - $1::interval ORDER BY at LIMIT 10 FOR UPDATE SKIP LOCKED))
