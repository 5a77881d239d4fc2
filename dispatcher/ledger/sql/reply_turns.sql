-- What turns do with replies, one statement each. The guards are those of messages: each change names the state that it
-- leaves and the turn that must hold the reply.

-- name: open_turn
-- Begin a turn and read all that the gate asks, at one instant. Any number of turns may serve one sender. No row: there is
-- no such sender. $4: the pulse that Redis remembers.
WITH opened AS (
    INSERT INTO reply_turns (sender_id, owner, lease_until)
    SELECT id, $2, ledger_now() + $3::interval FROM senders WHERE id = $1
    RETURNING turn_id
)
SELECT opened.turn_id, s AS sender, i.id AS instance, ledger_moved($4) AS moved, ARRAY(
    SELECT h
    FROM holds h
    WHERE (h.until IS NULL OR h.until > ledger_now()) AND (h.scope, h.key) IN (
        ('sender', s.id::text), ('account', s.waba_id), ('portfolio', s.portfolio_id))) AS holds
FROM opened
JOIN senders s ON s.id = $1
CROSS JOIN instance i

-- name: heartbeat
-- Prolong the lease, and see whether the sender is still what it was ($3: when it was last changed). No row: it was reaped.
UPDATE reply_turns t
SET lease_until = ledger_now() + $2::interval
FROM senders s
WHERE t.turn_id = $1 AND s.id = t.sender_id
RETURNING s.changed_at = $3 AS is_same

-- name: claim
-- Lease the next replies of a sender to a turn, of each conversation the first that has not ended and no other.
--
-- $1 turn, $2 sender, $3 how many. Always answers at least one row: without a turn it was reaped and nothing was claimed.
-- Whoever sees a reply sees all before it in its conversation (they become visible in order), and whoever sees that those
-- have ended may take it: none of them comes back but by `reopen` in reply_ends.sql, which looks out for this.
-- A reply whose window has closed meanwhile is refused here, before anything is spent on it.
WITH mine AS (
    -- why FOR SHARE: a reaping waits for the claim under way, and a claim that comes after it finds no turn.
    SELECT turn_id FROM reply_turns WHERE turn_id = $1 AND cardinality(ledger_moved()) = 0 FOR SHARE
), heads AS (
    SELECT r.id
    FROM replies r
    WHERE EXISTS (SELECT FROM mine)
      AND r.sender_id = $2 AND r.state = 'pending' AND r.not_before <= ledger_now()
      AND NOT EXISTS (SELECT FROM replies e
        WHERE e.conversation_id = r.conversation_id AND e.position < r.position
          AND e.state IN ('pending', 'claimed', 'unsure') AND NOT (e.state = 'unsure' AND e.unsure_policy = 'give_up'))
    ORDER BY r.not_before, r.id
    LIMIT $3
    FOR UPDATE OF r SKIP LOCKED
), taken AS (
    UPDATE replies r
    SET state = CASE WHEN c.window_ends_at > ledger_now() THEN 'claimed' ELSE 'refused' END,
        reason = CASE WHEN c.window_ends_at > ledger_now() THEN NULL ELSE 'window_closed' END,
        detail = CASE WHEN c.window_ends_at > ledger_now() THEN NULL
            ELSE 'while it waited' END,
        code = NULL,
        not_before = '-infinity',
        claim_id = $1,
        attempt = r.attempt + CASE WHEN c.window_ends_at > ledger_now() THEN 1 ELSE 0 END
    FROM heads h, conversations c
    WHERE r.id = h.id AND c.id = r.conversation_id
    RETURNING r.id, r.state, r.content, r.context_wamid, r.attempt, c.person, c.user_id, c.person_key,
        c.window_ends_at - ledger_now() AS open_for
)
SELECT mine.turn_id, taken.*
FROM (VALUES (1)) AS always
LEFT JOIN mine ON true
LEFT JOIN taken ON true
ORDER BY taken.id

-- name: settle
-- Write what became of a claimed reply; also where the turn was reaped and only our own answer comes late: the truth
-- replaces the unsure. One that goes back without having been posted gets its attempt back. No row: it is not ours any more.
UPDATE replies
SET state = $3,
    wamid = $4,
    code = $5,
    reason = $6,
    detail = $7,
    not_before = coalesce($8::timestamptz, '-infinity'),
    posted_at = CASE WHEN $9 AND $3 IN ('accepted', 'unsure') THEN ledger_now() ELSE posted_at END,
    attempt = attempt - CASE WHEN $3 = 'pending' AND NOT $9 THEN 1 ELSE 0 END
WHERE id = $1 AND claim_id = $2 AND (state = 'claimed' OR (state = 'unsure' AND $3 IN ('accepted', 'refused')))
RETURNING id

-- name: keep_attempt
-- An attempt that was answered and will be followed by another stays on record.
INSERT INTO attempts (campaign_id, message_id, attempt, sender_id, code, reason, detail)
SELECT 0, id, attempt, sender_id, code, reason, detail FROM replies WHERE id = $1
ON CONFLICT DO NOTHING

-- name: close_turn
-- No row: the turn was reaped, or still has replies.
DELETE FROM reply_turns t
WHERE t.turn_id = $1 AND NOT EXISTS (SELECT FROM replies r WHERE r.claim_id = t.turn_id AND r.state = 'claimed')
RETURNING t.turn_id

-- name: is_open
SELECT EXISTS (SELECT FROM reply_turns WHERE turn_id = $1)

-- name: dead_turns
-- Turns whose worker stopped prolonging the lease. None where the ledger is a copy: the turns are the original's.
SELECT t.turn_id, s AS sender
FROM reply_turns t
JOIN senders s ON s.id = t.sender_id
WHERE t.lease_until < ledger_now() AND cardinality((SELECT ledger_moved())) = 0

-- name: reap_turn
DELETE FROM reply_turns WHERE turn_id = $1 RETURNING turn_id

-- name: reap_replies
-- What may have been handed over becomes unsure, the rest is pending again.
-- $2 the handed ids; NULL: nobody knows, so all of them are unsure.
UPDATE replies
SET state = CASE WHEN $2::bigint[] IS NULL OR id = ANY ($2) THEN 'unsure' ELSE 'pending' END,
    reason = CASE WHEN $2::bigint[] IS NULL OR id = ANY ($2) THEN 'worker_lost' END,
    posted_at = CASE WHEN $2::bigint[] IS NULL OR id = ANY ($2) THEN ledger_now() ELSE posted_at END,
    attempt = attempt - CASE WHEN $2::bigint[] IS NULL OR id = ANY ($2) THEN 0 ELSE 1 END
WHERE claim_id = $1 AND state = 'claimed'
RETURNING state

-- name: due_senders
-- Senders with a reply that could be claimed now, and what holds them. None where the ledger is a copy.
SELECT s AS sender, ARRAY(
    SELECT h
    FROM holds h
    WHERE (h.until IS NULL OR h.until > ledger_now()) AND (h.scope, h.key) IN (
        ('sender', s.id::text), ('account', s.waba_id), ('portfolio', s.portfolio_id))) AS holds
FROM senders s
WHERE cardinality((SELECT ledger_moved())) = 0 AND EXISTS (
    SELECT FROM replies r
    WHERE r.sender_id = s.id AND r.state = 'pending' AND r.not_before <= ledger_now()
      AND NOT EXISTS (SELECT FROM replies e
        WHERE e.conversation_id = r.conversation_id AND e.position < r.position
          AND e.state IN ('pending', 'claimed', 'unsure') AND NOT (e.state = 'unsure' AND e.unsure_policy = 'give_up')))
