-- The hot path's statements. Two of them, claim and settle, see every message; the others run once a turn.
--
-- Each change repeats the guard of the state machine: it names the state it leaves and the turn that must hold it.
-- A message is touched twice in ordinary life: pending → claimed, claimed → accepted.
-- In those two, ledger_now() stands in a subquery where it is no bound of an index: so it is asked once, not for each
-- message, which makes a settle a tenth cheaper.
-- What names one campaign is run on the campaign's partition of messages; see dispatcher/ledger/partitions.py.

-- name: open_turn
-- Take a lane's lease, and see since when the turn was due. No row: another turn holds the lane, or it was never given
-- back and must be reaped first.
WITH free AS (
    SELECT id, next_at AS due_at FROM lanes WHERE id = $1 AND turn_id IS NULL FOR UPDATE
)
UPDATE lanes
SET turn_id = nextval('turns'), owner = $2, lease_until = ledger_now() + $3::interval, next_at = NULL, poked = false
FROM free
WHERE lanes.id = free.id
RETURNING turn_id, due_at

-- name: turn_facts
-- All that the gate asks, at one instant.
SELECT c AS campaign, s AS sender, t.body AS template, i.id AS instance, ledger_moved($2) AS moved,
    ARRAY(SELECT sender_id FROM lanes WHERE campaign_id = c.id ORDER BY sender_id) AS sender_ids
FROM lanes l
JOIN campaigns c ON c.id = l.campaign_id
JOIN senders s ON s.id = l.sender_id
LEFT JOIN templates t ON t.waba_id = s.waba_id AND t.name = c.template AND t.language = c.language
CROSS JOIN instance i
WHERE l.id = $1

-- name: holds_in_force
-- Whatever holds this sender, its account, its portfolio or the template.
SELECT reason, until, detail
FROM holds
WHERE (until IS NULL OR until > ledger_now())
  AND (scope, key) IN (
    ('sender', $1::text), ('account', $2::text), ('portfolio', $3::text), ('template', $4::text))

-- name: heartbeat
-- Prolong leases and see what the campaigns' owners want now. A turn without a row was reaped.
-- $1 lanes, $2 their turns, one each. Lanes are locked in the order of their ids, as settle_accepted does it.
WITH held AS (
    SELECT l.id, c.state
    FROM unnest($1::bigint[], $2::bigint[]) AS h (lane_id, turn_id)
    JOIN lanes l ON l.id = h.lane_id AND l.turn_id = h.turn_id
    JOIN campaigns c ON c.id = l.campaign_id
    ORDER BY l.id
    FOR UPDATE OF l
)
UPDATE lanes l
SET lease_until = ledger_now() + $3::interval
FROM held
WHERE l.id = held.id
RETURNING l.turn_id, held.state

-- name: claim
-- Lease the next pending messages to a turn, in order of their time and then of their place in the file.
--
-- $1 campaign, $2 lane, $3 turn, $4 sender, $5 how many, $6 whether it is marketing, $7 whether there are other senders.
-- Always answers at least one row: without a lane the turn was reaped and nothing was claimed; without an id
-- nothing is free to be claimed now.
-- By ctid, which within one partition is a row's own, because the rows are locked: to look them up again by their key
-- costs as much as to find them, and a planner that expects many would rather read the whole campaign.
-- LATERAL and OFFSET, so that people are looked at one after the other until there are enough. A planner that may choose
-- sometimes looked at all who were left, with a hash of all suppressions and open conversations: 31 ms for a claim that takes 5.
-- SKIP LOCKED lets lanes of one campaign claim side by side without waiting for each other.
-- People who were suppressed since the import leave here, before any token is spent on them; people who had too
-- much marketing are parked until their time comes. Who is in conversation with another sender of the campaign, and not
-- with this one, is left to that one, as long as it can send; see left_to_others.
WITH mine AS (
    -- why ledger_moved(): the pool's next connection may lead to a promoted standby, where the turn's last claims are lost.
    SELECT id FROM lanes WHERE id = $2 AND turn_id = $3 AND cardinality(ledger_moved()) = 0 FOR UPDATE
), next AS (
    SELECT m.ctid, s.reason AS suppression,
        CASE WHEN $6 AND s.reason IS NULL AND p.marketing_after > (SELECT ledger_now()) THEN p.marketing_after END AS cools_until,
        w.is_open IS NOT NULL AS in_window
    FROM messages m
    LEFT JOIN LATERAL (
        SELECT reason FROM suppressions
        WHERE person_key = m.person_key AND (until IS NULL OR until > (SELECT ledger_now())) OFFSET 0) s ON true
    LEFT JOIN LATERAL (SELECT marketing_after FROM people WHERE person_key = m.person_key OFFSET 0) p ON true
    -- why two minutes: a window that is open now may have closed when Meta takes the message, and then the person counts.
    LEFT JOIN LATERAL (
        SELECT true AS is_open FROM conversations
        WHERE sender_id = $4 AND person_key = m.person_key
          AND window_ends_at > (SELECT ledger_now()) + interval '2 minutes' OFFSET 0) w ON true
    WHERE EXISTS (SELECT FROM mine)
      AND m.campaign_id = $1 AND m.state = 'pending' AND m.not_before <= ledger_now()
      AND NOT ($7 AND w.is_open IS NULL AND EXISTS (
        SELECT FROM conversations o
        JOIN lanes l ON l.campaign_id = $1 AND l.sender_id = o.sender_id
        WHERE o.person_key = m.person_key AND o.sender_id <> $4 AND o.window_ends_at > ledger_now() + interval '2 minutes'
          AND (l.hold_reason IS NULL OR l.hold_reason IN ('queued', 'rate', 'fair_share'))
        OFFSET 0))
    ORDER BY m.not_before, m.id
    LIMIT $5
    FOR UPDATE OF m SKIP LOCKED
), taken AS (
    UPDATE messages m
    SET state = CASE
            WHEN next.suppression IS NOT NULL THEN 'suppressed'
            WHEN next.cools_until IS NOT NULL THEN 'pending'
            ELSE 'claimed' END,
        reason = CASE
            WHEN next.suppression IS NOT NULL THEN 'suppressed: ' || next.suppression
            WHEN next.cools_until IS NOT NULL THEN 'person_cooldown' END,
        not_before = coalesce(next.cools_until, '-infinity'),
        claim_id = $3,
        sender_id = $4,
        attempt = m.attempt + CASE WHEN coalesce(next.suppression, next.cools_until::text) IS NULL THEN 1 ELSE 0 END
    FROM next
    WHERE m.ctid = ANY (ARRAY(SELECT ctid FROM next)) AND m.ctid = next.ctid
    RETURNING m.id, m.person, m.person_key, m.params, m.attempt, next.in_window, m.state
), counted AS (
    SELECT count(*) FILTER (WHERE state = 'claimed') AS claimed,
        count(*) FILTER (WHERE state = 'suppressed') AS suppressed
    FROM taken
), lane AS (
    UPDATE lanes
    SET claimed = lanes.claimed + counted.claimed, suppressed = lanes.suppressed + counted.suppressed
    FROM counted
    WHERE lanes.id = $2 AND counted.claimed + counted.suppressed > 0
)
SELECT taken.id, taken.person, taken.person_key, taken.params, taken.attempt, taken.in_window, mine.id AS lane_id
FROM (VALUES (1)) AS always
LEFT JOIN mine ON true
LEFT JOIN taken ON taken.state = 'claimed'
ORDER BY taken.id

-- name: settle
-- Write what became of claimed messages, and count it, in one go.
--
-- $1 campaign, $2 lane, $3 turn, then one array per column of the outcomes.
-- An outcome that is not ours any more (the turn was reaped meanwhile) changes nothing here; see settle_late.
-- A message that goes back without having been posted gets its attempt back.
-- The lane is locked before the messages, as a reaping does it: a worker that wakes up late meets one, and neither fails.
WITH locked AS (
    SELECT FROM lanes WHERE id = $2 FOR UPDATE
), outcome AS (
    SELECT *
    FROM unnest($4::bigint[], $5::text[], $6::text[], $7::int[], $8::text[], $9::text[], $10::timestamptz[],
        $11::boolean[]) AS o (id, state, wamid, code, reason, detail, not_before, posted)
), done AS (
    UPDATE messages m
    SET state = o.state,
        wamid = o.wamid,
        code = o.code,
        reason = o.reason,
        detail = o.detail,
        not_before = coalesce(o.not_before, '-infinity'),
        posted_at = CASE WHEN o.posted AND o.state IN ('accepted', 'unsure') THEN ledger_now() ELSE m.posted_at END,
        attempt = m.attempt - CASE WHEN o.state = 'pending' AND NOT o.posted THEN 1 ELSE 0 END
    FROM outcome o
    WHERE EXISTS (SELECT FROM locked)
      AND m.campaign_id = $1 AND m.id = o.id AND m.claim_id = $3 AND m.state = 'claimed'
    RETURNING m.id, m.state
), counted AS (
    SELECT count(*) AS settled,
        count(*) FILTER (WHERE state = 'accepted') AS accepted,
        count(*) FILTER (WHERE state = 'refused') AS refused,
        count(*) FILTER (WHERE state = 'unsure') AS unsure
    FROM done
), lane AS (
    UPDATE lanes
    SET claimed = lanes.claimed - counted.settled,
        accepted = lanes.accepted + counted.accepted,
        refused = lanes.refused + counted.refused,
        unsure = lanes.unsure + counted.unsure
    FROM counted
    WHERE lanes.id = $2
)
SELECT settled FROM counted

-- name: settle_accepted
-- Of any number of turns: messages that Meta took with nothing more to say, which is nearly all of them.
--
-- $1 lanes, $2 their turns, $3 their campaigns, all in one partition; $4 each turn's messages, $5 Meta's ids of these: a line
-- for each, in the same order. Lines and not arrays, which take asyncpg and PostgreSQL twice as long: 1.5 µs a message.
-- Answers with how many of each turn were still its own; what is missing was reaped, see settle_late.
-- Lanes that the turns still hold are locked first, in the order of their ids: whoever else locks several does the same.
WITH held AS (
    SELECT l.id, l.turn_id, h.campaign_id, h.ids, h.wamids
    FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[], $5::text[])
        AS h (lane_id, turn_id, campaign_id, ids, wamids)
    JOIN lanes l ON l.id = h.lane_id AND l.turn_id = h.turn_id
    ORDER BY l.id
    FOR UPDATE OF l
), done AS (
    UPDATE messages m
    SET state = 'accepted', wamid = o.wamid, code = NULL, reason = NULL, detail = NULL, not_before = '-infinity',
        posted_at = (SELECT ledger_now())
    FROM held h
    CROSS JOIN LATERAL unnest(string_to_array(h.ids, E'\n')::bigint[], string_to_array(h.wamids, E'\n')) AS o (id, wamid)
    WHERE m.campaign_id = h.campaign_id AND m.id = o.id AND m.claim_id = h.turn_id AND m.state = 'claimed'
    RETURNING h.turn_id
), counted AS (
    SELECT turn_id, count(*) AS settled FROM done GROUP BY turn_id
), lane AS (
    UPDATE lanes l
    SET claimed = l.claimed - c.settled, accepted = l.accepted + c.settled
    FROM held h
    JOIN counted c USING (turn_id)
    WHERE l.id = h.id
)
SELECT turn_id, settled FROM counted

-- name: settle_late
-- Our own answer came after the turn was reaped: the truth replaces what was recorded as unsure.
WITH locked AS (
    SELECT FROM lanes WHERE id = $2 FOR UPDATE
), outcome AS (
    SELECT *
    FROM unnest($4::bigint[], $5::text[], $6::text[], $7::int[], $8::text[], $9::text[])
        AS o (id, state, wamid, code, reason, detail)
    WHERE state IN ('accepted', 'refused')
), done AS (
    UPDATE messages m
    SET state = o.state, wamid = o.wamid, code = o.code, reason = o.reason, detail = o.detail
    FROM outcome o
    WHERE EXISTS (SELECT FROM locked)
      AND m.campaign_id = $1 AND m.id = o.id AND m.claim_id = $3 AND m.state = 'unsure'
    RETURNING m.state
), counted AS (
    SELECT count(*) AS settled,
        count(*) FILTER (WHERE state = 'accepted') AS accepted,
        count(*) FILTER (WHERE state = 'refused') AS refused
    FROM done
), lane AS (
    UPDATE lanes
    SET unsure = lanes.unsure - counted.settled,
        accepted = lanes.accepted + counted.accepted,
        refused = lanes.refused + counted.refused
    FROM counted
    WHERE lanes.id = $2
)
SELECT settled FROM counted

-- name: keep_attempts
-- An attempt that was answered and will be followed by another stays on record.
INSERT INTO attempts (campaign_id, message_id, attempt, sender_id, code, reason, detail)
SELECT m.campaign_id, m.id, m.attempt, m.sender_id, m.code, m.reason, m.detail
FROM messages m
WHERE m.campaign_id = $1 AND m.claim_id = $2 AND m.id = ANY ($3::bigint[]) AND m.state = 'pending'
ON CONFLICT DO NOTHING

-- name: lane_claimed
-- How many messages a turn still has, with its lane locked. No row: the turn was reaped.
SELECT claimed FROM lanes WHERE id = $1 AND turn_id = $2 FOR UPDATE

-- name: close_turn
-- Give the lease back and say when the next turn is due, and why not before.
-- What was poked while the turn ran overrules whatever the turn concluded.
-- $7 the campaign's deadline where people are left: a turn is due then at the latest, to give them up. A second from now
-- at the earliest, for a host whose clock is behind would find the deadline still ahead, again and again.
UPDATE lanes
SET turn_id = NULL, owner = NULL, lease_until = NULL, poked = false,
    next_at = CASE WHEN poked THEN ledger_now()
        ELSE least($3, CASE WHEN $7::timestamptz IS NOT NULL THEN greatest($7, ledger_now() + interval '1 s') END) END,
    hold_reason = CASE WHEN NOT poked THEN $4 END,
    hold_until = CASE WHEN NOT poked THEN $5::timestamptz END,
    hold_detail = CASE WHEN NOT poked THEN $6 ELSE '' END
WHERE id = $1 AND turn_id = $2
RETURNING generation, next_at

-- name: poke_idle_siblings
-- What a held lane gave back is there for the campaign's other senders.
UPDATE lanes
SET next_at = ledger_now()
WHERE campaign_id = $1 AND id <> $2 AND turn_id IS NULL AND next_at IS NULL AND hold_reason IS NULL

-- name: stay_awake
-- A lane that has just ended with nobody left looks once more: another may have given people back meanwhile, too
-- late for this one to see and too early to find it idle.
-- Who is pending is counted, here and in complete_campaign, and not looked for: at a campaign's end the index of who is
-- pending is full of entries of those who were.
UPDATE lanes
SET next_at = ledger_now()
WHERE id = $1 AND turn_id IS NULL AND next_at IS NULL AND hold_reason IS NULL
  AND EXISTS (
    SELECT FROM campaigns c
    WHERE c.id = $2 AND c.audience - c.suppressed - c.cancelled - c.expired > (
        SELECT sum(l.claimed + l.accepted + l.refused + l.unsure + l.suppressed) FROM lanes l WHERE l.campaign_id = c.id))
RETURNING next_at

-- name: earliest_pending
-- When the next message of a campaign is free; NULL when none is pending.
SELECT nullif(not_before, '-infinity') AS at, reason, not_before <= ledger_now() AS is_due
FROM messages
WHERE campaign_id = $1 AND state = 'pending'
ORDER BY not_before, id
LIMIT 1

-- name: left_to_others
-- Whether all who are due in a campaign ($1) are in conversation with senders that can send, and none with this one ($2). A
-- lane that may not send, or whose tier is used up, keeps nobody; whom two senders talk with, either may take.
SELECT NOT EXISTS (
    SELECT FROM messages m
    WHERE m.campaign_id = $1 AND m.state = 'pending' AND m.not_before <= ledger_now()
      AND (EXISTS (
            SELECT FROM conversations w
            WHERE w.sender_id = $2 AND w.person_key = m.person_key
              AND w.window_ends_at > ledger_now() + interval '2 minutes')
        OR NOT EXISTS (
            SELECT FROM conversations o
            JOIN lanes l ON l.campaign_id = $1 AND l.sender_id = o.sender_id
            WHERE o.person_key = m.person_key AND o.sender_id <> $2
              AND o.window_ends_at > ledger_now() + interval '2 minutes'
              AND (l.hold_reason IS NULL OR l.hold_reason IN ('queued', 'rate', 'fair_share')))))

-- name: lock_campaign
-- Whoever brings people of a finished campaign back locks it first: so the next statement sees them.
SELECT FROM campaigns WHERE id = $1 FOR UPDATE

-- name: complete_campaign
-- Nobody is pending and no turn has anybody claimed: the work is done.
UPDATE campaigns c
SET state = 'completed', finished_at = ledger_now()
WHERE c.id = $1 AND c.state = 'running'
  AND c.audience - c.suppressed - c.cancelled - c.expired = (
    SELECT sum(l.accepted + l.refused + l.unsure + l.suppressed) FROM lanes l WHERE l.campaign_id = c.id)
RETURNING c.id

-- name: dead_turns
-- Turns whose worker stopped prolonging the lease. None where the ledger is a copy: the turns are the original's.
SELECT l.id AS lane_id, l.turn_id, l.campaign_id, coalesce('p' || s.portfolio_id, 's' || s.id) AS pool
FROM lanes l
JOIN senders s ON s.id = l.sender_id
WHERE l.lease_until < ledger_now() AND cardinality((SELECT ledger_moved())) = 0

-- name: reap_lane
-- The lane is free again; its next job gets an id of its own. It has been due since the lease ran out.
UPDATE lanes
SET turn_id = NULL, owner = NULL, lease_until = NULL, next_at = least(lease_until, ledger_now()),
    generation = generation + 1,
    hold_reason = NULL, hold_until = NULL, hold_detail = ''
WHERE id = $1 AND turn_id = $2
RETURNING generation, next_at

-- name: reap_messages
-- What may have been handed over becomes unsure, the rest is pending again.
-- $4 the handed ids; NULL: nobody knows, so all of them are unsure.
WITH reaped AS (
    UPDATE messages
    SET state = CASE WHEN $4::bigint[] IS NULL OR id = ANY ($4) THEN 'unsure' ELSE 'pending' END,
        reason = CASE WHEN $4::bigint[] IS NULL OR id = ANY ($4) THEN 'worker_lost' END,
        posted_at = CASE WHEN $4::bigint[] IS NULL OR id = ANY ($4) THEN ledger_now() END,
        attempt = attempt - CASE WHEN $4::bigint[] IS NULL OR id = ANY ($4) THEN 0 ELSE 1 END
    WHERE campaign_id = $1 AND claim_id = $3 AND state = 'claimed'
    RETURNING state
), counted AS (
    SELECT count(*) AS reaped, count(*) FILTER (WHERE state = 'unsure') AS unsure FROM reaped
), lane AS (
    UPDATE lanes
    SET claimed = lanes.claimed - counted.reaped, unsure = lanes.unsure + counted.unsure
    FROM counted
    WHERE lanes.id = $2
)
SELECT reaped, unsure FROM counted

-- name: due_lanes
-- Lanes whose time has come and that no turn holds. Those of a cancelled campaign, too: people whom a dying turn
-- gave back after the order are dropped by the next one.
-- Overdue: a worker opens the turn of a job that it has taken within milliseconds; after seconds it must be dead.
SELECT l.id, l.generation, l.next_at < ledger_now() - interval '3 seconds' AS is_overdue
FROM lanes l
JOIN campaigns c ON c.id = l.campaign_id
WHERE c.state IN ('running', 'cancelled') AND l.turn_id IS NULL AND l.next_at <= ledger_now()
ORDER BY c.priority DESC, l.next_at

-- name: reached_of_pool
-- Everybody whom a sender of the pool may have messaged since $2: posted, or claimed by a turn that may be posting.
-- By way of the campaigns that were alive since then, so that each pool reads its own; and of lanes that have ever posted,
-- so that the first turns of a large campaign, each in a pool of its own, need not read all of it to find nothing.
-- LATERAL and OFFSET, so that each campaign is looked for in its partition and not in all of them.
SELECT m.sender_id, m.person_key, m.posted_at AS at, NULL::bigint AS turn_id
FROM lanes l
JOIN campaigns c ON c.id = l.campaign_id AND (c.finished_at IS NULL OR c.finished_at > $2) AND c.started_at IS NOT NULL
CROSS JOIN LATERAL (
    SELECT sender_id, person_key, posted_at
    FROM messages
    WHERE campaign_id = l.campaign_id AND sender_id = l.sender_id AND posted_at > $2
    OFFSET 0) m
WHERE l.sender_id = ANY ($1::bigint[])
  AND (l.accepted + l.unsure + l.refused > 0 OR EXISTS (SELECT FROM attempts a WHERE a.campaign_id = l.campaign_id))
UNION ALL
SELECT m.sender_id, m.person_key, ledger_now(), l.turn_id
FROM lanes l
CROSS JOIN LATERAL (
    SELECT sender_id, person_key
    FROM messages
    WHERE campaign_id = l.campaign_id AND claim_id = l.turn_id AND state = 'claimed'
    OFFSET 0) m
WHERE l.sender_id = ANY ($1::bigint[]) AND l.turn_id IS NOT NULL AND l.claimed > 0

-- name: turns_with_claims
-- Turns of these senders that have messages in their hands.
SELECT turn_id FROM lanes WHERE sender_id = ANY ($1::bigint[]) AND turn_id IS NOT NULL AND claimed > 0

-- name: senders_of_pool
-- A pool is a portfolio ($1) or a sender that belongs to none ($2).
SELECT * FROM senders
WHERE portfolio_id = $1 OR (portfolio_id IS NULL AND id = $2)
ORDER BY id
