-- Templates that are ordered one by one, in standing campaigns.

-- name: facts
-- All that must be known before a message is taken, at one instant. Always one row.
-- $1 account, $2 template, $3 language, $4 the keys of holds on sender, account, portfolio and template, $5 the person's key,
-- $6 the user id of a person who is named by nothing else.
SELECT
    (SELECT body FROM templates WHERE waba_id = $1 AND name = $2 AND language = $3) AS template,
    ARRAY(SELECT h
        FROM holds h
        JOIN unnest(ARRAY['sender', 'account', 'portfolio', 'template'], $4::text[]) AS k (scope, key) USING (scope, key)
        WHERE h.until IS NULL OR h.until > ledger_now()) AS holds,
    (SELECT ledger_moved()) AS moved,
    (SELECT reason FROM suppressions
        WHERE person_key = coalesce($5, i.person_key, $6) AND (until IS NULL OR until > ledger_now())) AS suppressed,
    i.person AS number
FROM (VALUES (1)) AS always
LEFT JOIN identities i ON i.id = $6 AND i.until IS NULL

-- name: add
-- One more message for the standing campaign of this form, which runs from now on. No row: there is none that takes messages,
-- or the person is in it already.
-- $1 sender, $2 template, $3 language, $4 columns, $5 person, $6 key, $7 values, $8 callback data; for the audit log $9 and $10
-- who acts (NULL: nobody is named) and $11 the order. All in one statement, so that the locks are held for no round trip.
-- The campaign is locked first, as by everybody who brings somebody back, so that no turn completes it meanwhile. Says whether
-- the lane was asleep: one that has a turn goes on by itself, and one that is due already was woken by whoever made it so.
WITH place AS MATERIALIZED (
    SELECT c.id
    FROM standing_campaigns s
    JOIN campaigns c ON c.id = s.campaign_id
    WHERE s.sender_id = $1 AND s.template = $2 AND s.language = $3 AND s.columns = $4 AND s.takes_until > ledger_now()
      AND c.state IN ('running', 'completed')
    ORDER BY s.takes_until DESC
    LIMIT 1
    FOR UPDATE OF c
), member AS (
    INSERT INTO members (campaign_id, person_key, message_id)
    SELECT id, $6, nextval('messages_id_seq') FROM place
    ON CONFLICT (campaign_id, person_key) DO NOTHING
    RETURNING campaign_id, message_id
), message AS (
    INSERT INTO messages (campaign_id, id, person, person_key, params)
    SELECT campaign_id, message_id, $5, $6, $7 FROM member
    RETURNING campaign_id, id
), campaign AS (
    UPDATE campaigns c
    SET audience = c.audience + 1, state = 'running', finished_at = NULL
    FROM message m
    WHERE c.id = m.campaign_id
), kept AS (
    INSERT INTO callback_data (campaign_id, message_id, data)
    SELECT campaign_id, id, $8 FROM message WHERE $8::text IS NOT NULL
), noted AS (
    INSERT INTO audit_log (actor_kind, actor, outcome, action, subject, after)
    SELECT $9, $10, 'done', $11, 'message ' || id || ' of campaign ' || campaign_id, jsonb_build_object('template', $2::text)
    FROM message
    WHERE $9::text IS NOT NULL
), lane AS (
    SELECT l.id, l.turn_id IS NULL AND (l.next_at IS NULL OR l.next_at > ledger_now()) AS is_asleep
    FROM message m
    JOIN lanes l ON l.campaign_id = m.campaign_id
    FOR UPDATE OF l
), poked AS (
    UPDATE lanes l
    SET poked = l.turn_id IS NOT NULL, next_at = ledger_now()
    FROM lane
    WHERE l.id = lane.id
    RETURNING l.id, l.generation, lane.is_asleep
)
SELECT message.campaign_id, message.id AS message_id, poked.id AS lane_id, poked.generation, poked.is_asleep
FROM message, poked

-- name: lock_form
-- One transaction at a time opens a campaign of a form; the others find it.
SELECT pg_advisory_xact_lock(7221004, hashtext($1))

-- name: open
-- A standing campaign of this form, which runs, with its lane. Messages need the partition of its number as well.
-- $1 name, $2 template, $3 language, $4 mapping, $5 columns, $6 priority, $7 unsure policy, $8 sender, $9 how long it takes messages.
WITH campaign AS (
    INSERT INTO campaigns (name, state, template, language, mapping, columns, priority, unsure_policy, kind, started_at)
    VALUES ($1, 'running', $2, $3, $4, $5, $6, $7, 'standing', ledger_now())
    RETURNING id
), lane AS (
    INSERT INTO lanes (campaign_id, sender_id) SELECT id, $8 FROM campaign
)
INSERT INTO standing_campaigns (campaign_id, sender_id, template, language, columns, takes_until)
SELECT id, $8, $2, $3, $5, ledger_now() + $9::interval FROM campaign
RETURNING campaign_id

-- name: waiting
-- How much waits for a sender: of standing campaigns by their counters, of replies at most $2; and when the first of the lanes
-- may go on, where all of them are held.
SELECT coalesce(sum(c.audience - c.suppressed - c.cancelled - c.expired
        - l.accepted - l.refused - l.unsure - l.suppressed), 0)::bigint
    + (SELECT count(*) FROM (SELECT FROM replies WHERE sender_id = $1 AND state = 'pending' LIMIT $2) AS r) AS messages,
    CASE WHEN bool_and(l.hold_until > ledger_now()) THEN min(l.hold_until) END AS until
FROM campaigns c
JOIN lanes l ON l.campaign_id = c.id AND l.sender_id = $1
WHERE c.kind = 'standing' AND c.state IN ('running', 'paused')
