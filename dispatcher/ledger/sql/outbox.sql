-- Delivery of events: one turn at a time per subscription, its lease, its batches, and what upkeep does about the rest.
--
-- Triggers fill the outbox (see the migration). Events leave it when they are delivered, or as dead letters.

-- name: tell
-- $1 kind, $2 sender or NULL, $3 body: one event for whoever wants it, within the caller's transaction.
SELECT tell($1, $2, $3)

-- name: tell_one
-- $1 subscription, $2 kind, $3 body: for this one, whatever it has chosen. No row: there is none, or it is not enabled.
INSERT INTO outbox (subscription_id, kind, body) SELECT id, $2, $3 FROM subscriptions WHERE id = $1 AND is_enabled
RETURNING id

-- name: open_turns
-- Begin a turn for each subscription ($3 at most) that has events, is due, and that nobody serves, or somebody who died.
-- None where the ledger is a copy: what waits here is the original's to deliver.
WITH due AS (
    SELECT d.subscription_id
    FROM deliveries d
    JOIN subscriptions s ON s.id = d.subscription_id
    WHERE s.is_enabled AND d.next_at <= ledger_now() AND (d.turn_id IS NULL OR d.lease_until < ledger_now())
      AND EXISTS (SELECT FROM outbox o WHERE o.subscription_id = d.subscription_id)
      AND cardinality((SELECT ledger_moved())) = 0
    ORDER BY d.next_at, d.subscription_id
    LIMIT $3
    FOR UPDATE OF d SKIP LOCKED
)
UPDATE deliveries d
SET turn_id = nextval('turns'), owner = $1, lease_until = ledger_now() + $2::interval
FROM due
JOIN subscriptions s ON s.id = due.subscription_id
CROSS JOIN instance i
WHERE d.subscription_id = due.subscription_id
RETURNING d.turn_id, d.failures, s.id AS subscription_id, s.url, s.format, s.secret_ref, i.id AS instance,
    CASE WHEN s.former_secret_until > ledger_now() THEN s.former_secret_ref END AS former_secret_ref

-- name: next_batch
-- Prolong the lease, and read the first events: $4 at most, about $5 bytes, at least one. $1 subscription, $2 turn, $3 lease.
-- No row: the turn is not ours any more. A row without an id: nothing waits.
WITH mine AS (
    UPDATE deliveries SET lease_until = ledger_now() + $3::interval
    WHERE subscription_id = $1 AND turn_id = $2 AND lease_until > ledger_now()
    RETURNING subscription_id
), first AS MATERIALIZED (
    SELECT id, kind, at, body FROM outbox WHERE subscription_id = $1 ORDER BY id LIMIT $4
), fitting AS (
    SELECT *
    FROM (SELECT *, sum(pg_column_size(body)) OVER (ORDER BY id) - pg_column_size(body) AS bytes_before FROM first) AS sized
    WHERE bytes_before < $5
)
SELECT f.id, f.kind, f.at, f.body FROM mine LEFT JOIN fitting f ON true ORDER BY f.id

-- name: delivered
-- The receiver has taken these ($3). False: the turn is not ours any more, and somebody else delivers them again.
WITH mine AS (
    UPDATE deliveries
    SET failing_since = NULL, failures = 0, last_error = NULL, delivered_at = ledger_now()
    WHERE subscription_id = $1 AND turn_id = $2
    RETURNING subscription_id
), gone AS (
    DELETE FROM outbox
    WHERE EXISTS (SELECT FROM mine) AND subscription_id = $1 AND id = ANY ($3::bigint[])
)
SELECT EXISTS (SELECT FROM mine)

-- name: failed
-- The turn ends with a failure ($3) and the next one waits so long ($4).
UPDATE deliveries
SET turn_id = NULL, owner = NULL, lease_until = NULL, failures = failures + 1,
    failing_since = coalesce(failing_since, ledger_now()), last_error = $3, next_at = ledger_now() + $4::interval
WHERE subscription_id = $1 AND turn_id = $2
RETURNING failures

-- name: close_turn
-- The next one is due at once, behind all that have waited for longer.
UPDATE deliveries SET turn_id = NULL, owner = NULL, lease_until = NULL, next_at = ledger_now()
WHERE subscription_id = $1 AND turn_id = $2

-- name: stop
-- $2 why. What waits stays, and becomes dead letters when its time is over.
UPDATE subscriptions SET is_enabled = false, stopped = $2, changed_at = ledger_now() WHERE id = $1 AND is_enabled
RETURNING id

-- name: bury
-- What has waited longer than $1 for a receiver that fails for as long, or that is stopped, becomes a dead letter; $2 at
-- most for each. Nothing that a turn has in hand.
WITH hopeless AS (
    SELECT d.subscription_id, coalesce(d.last_error, 'the subscription is not enabled') AS error
    FROM deliveries d
    JOIN subscriptions s ON s.id = d.subscription_id
    WHERE (NOT s.is_enabled OR d.failing_since < ledger_now() - $1::interval)
      AND (d.turn_id IS NULL OR d.lease_until < ledger_now())
    FOR UPDATE OF d SKIP LOCKED
), old AS (
    SELECT h.subscription_id, o.id, h.error
    FROM hopeless h
    CROSS JOIN LATERAL (
        SELECT id, queued_at FROM outbox WHERE subscription_id = h.subscription_id ORDER BY id LIMIT $2) o
    WHERE o.queued_at < ledger_now() - $1::interval
), buried AS (
    DELETE FROM outbox o USING old
    WHERE o.subscription_id = old.subscription_id AND o.id = old.id
    RETURNING o.subscription_id, o.id, o.kind, o.at, o.body, old.error
), kept AS (
    INSERT INTO dead_events (subscription_id, id, kind, at, body, error) TABLE buried
)
SELECT subscription_id, count(*) AS events FROM buried GROUP BY subscription_id

-- name: overfull
-- Enabled subscriptions for which more than $1 events wait. Ids bound their number from above, so that most are not counted.
SELECT s.id
FROM subscriptions s
WHERE s.is_enabled
  AND (SELECT id FROM outbox WHERE subscription_id = s.id ORDER BY id DESC LIMIT 1)
    - (SELECT id FROM outbox WHERE subscription_id = s.id ORDER BY id LIMIT 1) >= $1
  AND (SELECT count(*) FROM (SELECT FROM outbox WHERE subscription_id = s.id LIMIT $1 + 1) AS counted) > $1

-- name: forget_strays
-- Events of subscriptions that were removed, $1 at most; also those written while that happened.
WITH RECURSIVE owners AS (
    (SELECT subscription_id FROM outbox ORDER BY subscription_id LIMIT 1)
    UNION ALL
    SELECT (SELECT o.subscription_id FROM outbox o WHERE o.subscription_id > owners.subscription_id
        ORDER BY o.subscription_id LIMIT 1)
    FROM owners
    WHERE owners.subscription_id IS NOT NULL
)
DELETE FROM outbox
WHERE (subscription_id, id) IN (
    SELECT o.subscription_id, o.id
    FROM owners
    JOIN outbox o USING (subscription_id)
    WHERE NOT EXISTS (SELECT FROM subscriptions s WHERE s.id = owners.subscription_id)
    LIMIT $1)

-- name: backlog
-- How much waits for all subscriptions, as far as $1 for each, and since when.
SELECT coalesce(sum(o.events), 0)::bigint AS pending, min(o.oldest_at) AS oldest_at
FROM subscriptions s
CROSS JOIN LATERAL (
    SELECT count(*) AS events, min(at) AS oldest_at
    FROM (SELECT at FROM outbox WHERE subscription_id = s.id ORDER BY id LIMIT $1) AS first) o

-- name: is_out_of_line
-- Whether some trigger is on that nobody needs, or the other way round.
SELECT EXISTS (SELECT FROM tellers WHERE is_on <> is_wanted)

-- name: listen_in
SELECT listen_in()
