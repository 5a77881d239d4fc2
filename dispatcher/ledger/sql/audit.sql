-- The audit log: written with every order, read by people.

-- name: note
INSERT INTO audit_log (actor_kind, actor, outcome, action, subject, before, after)
VALUES ($1, $2, 'done', $3, $4, $5, $6)

-- name: refuse
-- $5 calls that were not let in; those of one kind within an hour share an entry.
INSERT INTO audit_log (actor_kind, actor, outcome, action, subject, times, at)
VALUES ($1, $2, 'refused', $3, $4, $5, date_trunc('hour', ledger_now()))
ON CONFLICT (actor_kind, actor, action, subject, at) WHERE outcome = 'refused' DO UPDATE
SET times = audit_log.times + excluded.times, last_at = ledger_now()

-- name: page
-- The newest first; $1 those before this one, NULL: from the newest on.
SELECT * FROM audit_log WHERE $1::bigint IS NULL OR id < $1 ORDER BY id DESC LIMIT $2
