-- Replies as people and programs order them and ask for them. What turns do with them is in reply_turns.sql, what is
-- learnt of them afterwards in reply_ends.sql.

-- name: addressee
-- The person with whom a sender talks, who is known by the key of a phone number ($2) or by a user id ($3), perhaps one of
-- several, or one of somebody whose number is known by now.
SELECT id AS conversation_id, nullif(window_ends_at, '-infinity') AS window_ends_at, last_inbound_wamid
FROM conversations
WHERE sender_id = $1 AND merged_into IS NULL
  AND (user_id = $3
    OR person_key IN ($2, $3, (SELECT person_key FROM identities WHERE id = coalesce($2, $3) AND until IS NULL)))
ORDER BY window_ends_at DESC
LIMIT 1

-- name: queue
-- Store a reply if the window is open now, at the end of its conversation. No row: the window is closed, or the key is known.
-- The row of the position is locked to the end of the transaction, so that nobody sees a reply before those in front of it.
WITH open AS (
    SELECT id, sender_id FROM conversations WHERE id = $1 AND window_ends_at > ledger_now()
), known AS (
    SELECT r.id FROM replies r JOIN open o ON o.sender_id = r.sender_id WHERE r.idempotency_key = $4
), place AS (
    INSERT INTO reply_positions AS p (conversation_id, last)
    SELECT id, 1 FROM open WHERE NOT EXISTS (SELECT FROM known)
    ON CONFLICT (conversation_id) DO UPDATE SET last = p.last + 1
    RETURNING conversation_id, last
)
INSERT INTO replies (conversation_id, sender_id, position, content, context_wamid, idempotency_key, unsure_policy)
SELECT open.id, open.sender_id, place.last, $2, $3, $4, $5
FROM open
JOIN place ON place.conversation_id = open.id
ON CONFLICT (sender_id, idempotency_key) DO NOTHING
RETURNING id, position

-- name: by_key
SELECT id, conversation_id, position, content, context_wamid FROM replies WHERE sender_id = $1 AND idempotency_key = $2

-- name: recent
-- The numbers of the newest, of one sender ($1), one conversation ($2), in one state ($3); NULL: whichever.
SELECT ARRAY(
    SELECT id
    FROM replies
    WHERE ($1::bigint IS NULL OR sender_id = $1) AND ($2::bigint IS NULL OR conversation_id = $2)
      AND ($3::text IS NULL OR state = $3)
    ORDER BY id DESC
    LIMIT $4)

-- name: page
-- The same, $4 at most, before one of them ($5; NULL: from the newest on), among the next $6 of the sender or conversation.
-- `last_id` is where the look ended, which has more behind it only where it was long enough.
WITH looked AS MATERIALIZED (
    SELECT id, state
    FROM replies
    WHERE ($1::bigint IS NULL OR sender_id = $1) AND ($2::bigint IS NULL OR conversation_id = $2)
      AND ($5::bigint IS NULL OR id < $5)
    ORDER BY id DESC
    LIMIT $6
)
SELECT ARRAY(SELECT id FROM looked WHERE $3::text IS NULL OR state = $3 ORDER BY id DESC LIMIT $4) AS ids,
    (SELECT count(*) FROM looked) = $6 AS has_more, (SELECT min(id) FROM looked) AS last_id

-- name: views
-- These replies as people are shown them, the newest first; with the one that each waits for, as the claim sees it.
SELECT r.*, s AS sender, coalesce(c.person, c.user_id, c.person_key) AS person, c.window_ends_at,
    nullif(r.not_before, '-infinity') AS free_at, r.idempotency_key AS key,
    CASE WHEN r.state = 'pending' THEN (SELECT e.id FROM replies e
        WHERE e.conversation_id = r.conversation_id AND e.position < r.position
          AND e.state IN ('pending', 'claimed', 'unsure') AND NOT (e.state = 'unsure' AND e.unsure_policy = 'give_up')
        ORDER BY e.position LIMIT 1) END AS waits_for
FROM replies r
JOIN conversations c ON c.id = r.conversation_id
JOIN senders s ON s.id = r.sender_id
WHERE r.id = ANY ($1::bigint[])
ORDER BY r.id DESC

-- name: cancel
-- Only what nobody has in hand.
UPDATE replies
SET state = 'cancelled', reason = 'cancelled by an operator', not_before = '-infinity'
WHERE id = $1 AND state = 'pending'
RETURNING sender_id

-- name: holds_on_sender
-- In force on a sender, its account and its portfolio.
SELECT reason, until, detail
FROM holds
WHERE (until IS NULL OR until > ledger_now())
  AND (scope, key) IN (('sender', $1::text), ('account', $2::text), ('portfolio', $3::text))

-- name: moved
SELECT ledger_moved()

-- name: stray_claims
-- Claimed replies whose turn is not running; there must be none, except for the moment of a reaping.
SELECT count(*)
FROM replies r
WHERE r.state = 'claimed' AND NOT EXISTS (SELECT FROM reply_turns t WHERE t.turn_id = r.claim_id)

-- name: overtaken
-- Replies in a turn's hands though one before them is still to be posted; there must be none, except for the moment after an
-- operator has released one that had been given up.
SELECT count(*)
FROM replies r
WHERE r.state = 'claimed' AND EXISTS (
    SELECT FROM replies e
    WHERE e.conversation_id = r.conversation_id AND e.position < r.position AND e.state IN ('pending', 'claimed'))
