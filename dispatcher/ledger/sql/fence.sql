-- The fence: where the ledger is, and what an operator's confirmation of another place changes.
--
-- Confirming locks campaigns before lanes before messages, as orders and reapings do.

-- name: learn
-- Take the place as confirmed when the ledger is first opened, and later each part that could not be read before.
UPDATE instance
SET place = ledger_place() || coalesce(place, '{}')
WHERE cardinality(ledger_moved()) = 0 AND place IS DISTINCT FROM ledger_place() || coalesce(place, '{}')

-- name: state
SELECT id, epoch, coalesce(place, '{}') AS confirmed, ledger_place() AS here, ledger_moved() AS moved, confirmed_at,
    pulse, greatest(pulse, remembered) AS remembered
FROM instance

-- name: beat
-- One step further; a ledger behind its fence stands still.
UPDATE instance SET pulse = pulse + 1 WHERE cardinality(ledger_moved()) = 0 RETURNING pulse

-- name: recall
-- Redis remembers that the ledger had come to $1.
UPDATE instance SET remembered = $1 WHERE pulse < $1 AND remembered < $1

-- name: confirm
-- Compare-and-set on the epoch that the operator has seen. $2: a leap beyond whatever Redis may remember.
UPDATE instance
SET place = ledger_place(), epoch = epoch + 1, confirmed_at = ledger_now(), pulse = pulse + $2, remembered = 0
WHERE epoch = $1
RETURNING epoch

-- name: skip_numbers
-- Leave a gap of $1 in what travels beyond the ledger: turns in Redis, messages in tokens. What was numbered after the
-- copy was made is unknown here and must not be met again: by a receipt that would be booked to somebody else.
SELECT setval('turns', nextval('turns') + $1),
    setval(pg_get_serial_sequence('messages', 'id'), nextval(pg_get_serial_sequence('messages', 'id')) + $1),
    setval(pg_get_serial_sequence('lanes', 'id'), nextval(pg_get_serial_sequence('lanes', 'id')) + $1),
    setval(pg_get_serial_sequence('replies', 'id'), nextval(pg_get_serial_sequence('replies', 'id')) + $1)

-- name: pause_running
-- Nobody knows whom these have reached since the copy was made; their owner looks first.
UPDATE campaigns
SET state = 'paused', paused_because = $1
WHERE state = 'running'
RETURNING id

-- name: doubt_claims
-- What was in the hands of a turn may have been posted. The lanes are free again, and their next jobs get ids of their
-- own. Returns how many messages are unsure by that.
WITH leased AS (
    SELECT id, campaign_id, turn_id FROM lanes WHERE turn_id IS NOT NULL FOR UPDATE
), doubted AS (
    UPDATE messages m
    SET state = 'unsure', reason = 'restored', posted_at = ledger_now()
    FROM leased
    WHERE m.campaign_id = leased.campaign_id AND m.claim_id = leased.turn_id AND m.state = 'claimed'
    RETURNING leased.id AS lane_id
), counted AS (
    SELECT leased.id AS lane_id, count(doubted.lane_id) AS messages
    FROM leased
    LEFT JOIN doubted ON doubted.lane_id = leased.id
    GROUP BY leased.id
), freed AS (
    UPDATE lanes
    SET turn_id = NULL, owner = NULL, lease_until = NULL, generation = generation + 1,
        claimed = claimed - messages, unsure = unsure + messages
    FROM counted
    WHERE lanes.id = lane_id
)
SELECT coalesce(sum(messages), 0)::bigint FROM counted

-- name: doubt_replies
-- What was in the hands of a turn may have been posted; and what waited may have been posted since the copy was made, so it is
-- given up, and whoever still wants to say it says it again. Returns how many are unsure by that.
WITH ended AS (
    DELETE FROM reply_turns RETURNING turn_id
), doubted AS (
    UPDATE replies
    SET state = 'unsure', reason = 'restored', posted_at = ledger_now()
    WHERE state = 'claimed' AND claim_id IN (SELECT turn_id FROM ended)
    RETURNING 1
), given_up AS (
    UPDATE replies SET state = 'cancelled', reason = 'restored', not_before = '-infinity' WHERE state = 'pending'
)
SELECT count(*) FROM doubted

-- name: call_lanes
-- Lanes of unfinished campaigns look again, also those whose turn has just met the fence; however late they were.
UPDATE lanes l
SET poked = l.turn_id IS NOT NULL, next_at = ledger_now(), hold_reason = NULL, hold_until = NULL, hold_detail = ''
FROM campaigns c
WHERE c.id = l.campaign_id AND c.state IN ('running', 'cancelled')
RETURNING l.id, l.generation
