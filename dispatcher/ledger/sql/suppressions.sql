-- The suppression list: who is on it, why, what came before, and what it means for campaigns that have the person already.
--
-- Three kinds of entries: what a person wishes (opted_out_at), which the person's latest word puts on and takes off; what an
-- operator orders, which only an operator takes off; and what ends by itself (until). An order is the strongest.

-- name: note
-- One line of history for each; news that was told before adds nothing.
INSERT INTO suppression_history (person_key, person, user_id, change, reason, source, at, evidence)
SELECT *
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::timestamptz[], $8::text[])
    AS n (person_key, person, user_id, change, reason, source, at, evidence)
ORDER BY evidence
ON CONFLICT (evidence) DO NOTHING

-- name: follow_wishes
-- The latest word of each of these people counts, whenever it was told; of two at one moment the no.
WITH latest AS (
    SELECT DISTINCT ON (person_key) person_key, person, change, source, at
    FROM suppression_history
    WHERE person_key = ANY ($1::text[]) AND change IN ('opted_out', 'opted_in')
    ORDER BY person_key, at DESC, change DESC
), lifted AS (
    DELETE FROM suppressions s
    USING latest l
    WHERE l.change = 'opted_in' AND s.person_key = l.person_key AND s.opted_out_at < l.at
)
INSERT INTO suppressions AS s (person_key, person, reason, source, opted_out_at)
SELECT person_key, person, 'opted_out', source, at
FROM latest
WHERE change = 'opted_out'
ORDER BY person_key
ON CONFLICT (person_key) DO UPDATE
SET reason = excluded.reason, source = excluded.source, until = NULL, opted_out_at = excluded.opted_out_at,
    at = CASE WHEN s.until IS NULL THEN s.at ELSE ledger_now() END
WHERE s.until IS NOT NULL OR s.opted_out_at < excluded.opted_out_at

-- name: put
-- An operator's order, or with $5 an entry that ends by itself. An order replaces everything else; what ends by itself
-- replaces only its like. Returns who was not on the list before.
WITH given AS (
    SELECT DISTINCT ON (k) k AS person_key, p AS person FROM unnest($1::text[], $2::text[]) AS g (k, p) ORDER BY k
), before AS (
    SELECT person_key FROM suppressions
    WHERE person_key = ANY ($1::text[]) AND until IS NULL
), put AS (
    INSERT INTO suppressions AS s (person_key, person, reason, source, until)
    SELECT person_key, person, $3, $4, $5 FROM given ORDER BY person_key
    ON CONFLICT (person_key) DO UPDATE
    SET reason = excluded.reason, source = excluded.source, until = excluded.until, at = ledger_now(),
        opted_out_at = NULL
    WHERE s.until IS NOT NULL OR (excluded.until IS NULL AND s.opted_out_at IS NOT NULL)
    RETURNING s.person_key, s.person
), noted AS (
    INSERT INTO suppression_history (person_key, person, change, reason, source, at)
    SELECT person_key, person, 'added', $3, $4, ledger_now() FROM put
)
SELECT person_key, person FROM put WHERE person_key NOT IN (SELECT person_key FROM before)

-- name: remove
-- Off the list, whatever put them there. Returns who was on it.
WITH gone AS (
    DELETE FROM suppressions WHERE person_key = ANY ($1::text[]) RETURNING person_key, person, reason
), noted AS (
    INSERT INTO suppression_history (person_key, person, change, reason, source, at)
    SELECT person_key, person, 'removed', reason, $2, ledger_now() FROM gone
)
SELECT person_key, person FROM gone

-- name: all
SELECT person, reason, source, at, until
FROM suppressions
WHERE until IS NULL OR until > ledger_now()
ORDER BY at, person

-- name: history
SELECT at, change, reason, source, recorded_at FROM suppression_history WHERE person_key = $1 ORDER BY at, id

-- name: standing
-- Of these people those who are on the list now.
SELECT person_key FROM suppressions WHERE person_key = ANY ($1::text[]) AND (until IS NULL OR until > ledger_now())

-- name: pools_of
-- The quota pools whose turns may have, or may be about to claim, a message to these people; in one partition.
SELECT DISTINCT coalesce('p' || s.portfolio_id, 's' || s.id) AS pool, p.person_key
FROM unnest($1::text[]) AS p (person_key)
JOIN campaigns c ON c.state IN ('running', 'paused')
JOIN members a ON a.campaign_id = c.id AND a.person_key = p.person_key
JOIN messages m ON m.campaign_id = c.id AND m.id = a.message_id AND m.state IN ('pending', 'claimed')
JOIN lanes l ON l.campaign_id = c.id
JOIN senders s ON s.id = l.sender_id

-- name: pools
SELECT DISTINCT coalesce('p' || portfolio_id, 's' || id) AS pool FROM senders

-- name: sweep
-- Whoever is on the list leaves the campaigns in which they are still pending. What a turn has, or is just taking, is left to
-- it: the limits refuse it, and the next claim finds the person on the list.
-- In one partition. Returns the campaigns that have lost somebody.
WITH listed AS (
    SELECT person_key, reason
    FROM suppressions
    WHERE person_key = ANY ($1::text[]) AND (until IS NULL OR until > ledger_now())
), found AS (
    SELECT m.campaign_id, m.id, p.reason
    FROM listed p
    JOIN campaigns c ON c.state IN ('draft', 'running', 'paused')
    JOIN members a ON a.campaign_id = c.id AND a.person_key = p.person_key
    JOIN messages m ON m.campaign_id = c.id AND m.id = a.message_id AND m.state = 'pending'
    ORDER BY m.campaign_id, m.id
    FOR UPDATE OF m SKIP LOCKED
), done AS (
    UPDATE messages m
    SET state = 'suppressed', reason = 'suppressed: ' || f.reason, not_before = '-infinity'
    FROM found f
    WHERE m.campaign_id = f.campaign_id AND m.id = f.id AND m.state = 'pending'
    RETURNING m.campaign_id
), counted AS (
    SELECT campaign_id, count(*) AS people FROM done GROUP BY campaign_id
), locked AS (
    SELECT id FROM campaigns WHERE id IN (SELECT campaign_id FROM counted) ORDER BY id FOR NO KEY UPDATE
)
UPDATE campaigns c
SET suppressed = c.suppressed + counted.people
FROM counted
JOIN locked ON locked.id = counted.campaign_id
WHERE c.id = counted.campaign_id
RETURNING c.id

-- name: call_emptied
-- Idle lanes of campaigns in which nobody is left to wait for: a turn finds that out and completes them.
-- OFFSET, so that each campaign is looked for in its partition and not in all of them.
UPDATE lanes
SET next_at = least(coalesce(next_at, 'infinity'), ledger_now())
WHERE turn_id IS NULL AND campaign_id = ANY ($1::bigint[])
  AND NOT EXISTS (SELECT FROM messages m WHERE m.campaign_id = lanes.campaign_id AND m.state = 'pending' OFFSET 0)

-- name: merge
-- What counts for somebody counts for the one whom they turned out to be. Of a number ($3: until when it was theirs) an entry
-- stays on the number, too, for nobody knows who has it next; and later words are the person's if an id of theirs said them.
WITH former AS (
    SELECT * FROM suppressions WHERE person_key = $1
), gone AS (
    DELETE FROM suppressions WHERE person_key = $1 AND $3::timestamptz IS NULL
), history AS (
    UPDATE suppression_history
    SET person_key = $2, person = coalesce($4, person)
    WHERE person_key = $1
      AND ($3 IS NULL OR at <= $3 OR user_id IN (SELECT id FROM identities WHERE person_key = $2))
)
INSERT INTO suppressions AS s (person_key, person, reason, source, at, until)
SELECT $2, coalesce($4, person), reason, source, at, until FROM former WHERE opted_out_at IS NULL
ON CONFLICT (person_key) DO UPDATE
SET reason = excluded.reason, source = excluded.source, at = excluded.at, until = excluded.until, opted_out_at = NULL
WHERE excluded.until IS NULL AND (s.until IS NOT NULL OR s.opted_out_at IS NOT NULL)
