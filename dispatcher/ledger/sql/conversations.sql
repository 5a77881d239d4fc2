-- Conversations, and the messages of people in them.

-- name: hear
-- What people said, each message once, into the conversation of each with each sender; one array per column.
--
-- Everything in a conversation is a greatest, a least or the word of the latest, so that any order and any repetition of news
-- ends in the same row. Says how many messages were new, by sender. Senders that nobody knows are left out.
-- What opens no window has no end of one. A call has no wamid: it opens the window and is no message.
WITH news AS (
    SELECT s.id AS sender_id, n.*
    FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::timestamptz[], $7::timestamptz[],
        $8::timestamptz[], $9::text[], $10::text[], $11::text[], $12::jsonb[])
        AS n (phone_number_id, person_key, person, user_id, name, at, window_ends_at, free_entry_at, wamid, kind,
            context_wamid, content)
    JOIN senders s USING (phone_number_id)
), gist AS (
    SELECT sender_id, person_key,
        (array_agg(person ORDER BY at DESC) FILTER (WHERE person IS NOT NULL))[1] AS person,
        (array_agg(user_id ORDER BY at DESC, user_id DESC) FILTER (WHERE user_id IS NOT NULL))[1] AS user_id,
        (array_agg(name ORDER BY at DESC, name DESC) FILTER (WHERE name IS NOT NULL))[1] AS name,
        coalesce(max(window_ends_at), '-infinity') AS window_ends_at,
        max(at) FILTER (WHERE wamid IS NOT NULL AND window_ends_at IS NOT NULL) AS last_inbound_at,
        (array_agg(wamid ORDER BY at DESC, wamid DESC)
            FILTER (WHERE wamid IS NOT NULL AND window_ends_at IS NOT NULL))[1] AS last_inbound_wamid,
        max(free_entry_at) AS free_entry_at, min(at) AS started_at,
        max(at) FILTER (WHERE name IS NOT NULL) AS named_at,
        max(at) FILTER (WHERE user_id IS NOT NULL) AS identified_at
    FROM news
    GROUP BY sender_id, person_key
), kept AS (
    INSERT INTO conversations AS c (sender_id, person_key, person, user_id, identified_at, name, named_at,
        window_ends_at, last_inbound_at, last_inbound_wamid, free_entry_at, started_at)
    SELECT sender_id, person_key, person, user_id, identified_at, name, named_at,
        window_ends_at, last_inbound_at, last_inbound_wamid, free_entry_at, started_at
    FROM gist
    ORDER BY sender_id, person_key
    ON CONFLICT (sender_id, person_key) DO UPDATE
    SET person = coalesce(excluded.person, c.person),
        (user_id, identified_at) = (SELECT * FROM latest(
            c.user_id, c.identified_at, excluded.user_id, excluded.identified_at)),
        (name, named_at) = (SELECT * FROM latest(c.name, c.named_at, excluded.name, excluded.named_at)),
        (last_inbound_wamid, last_inbound_at) = (SELECT * FROM latest(
            c.last_inbound_wamid, c.last_inbound_at, excluded.last_inbound_wamid, excluded.last_inbound_at)),
        window_ends_at = greatest(c.window_ends_at, excluded.window_ends_at),
        free_entry_at = greatest(c.free_entry_at, excluded.free_entry_at),
        started_at = least(c.started_at, excluded.started_at)
    RETURNING c.id, c.sender_id, c.person_key
), new AS (
    INSERT INTO inbound (wamid, sender_id, person, user_id, name, at, kind, context_wamid, content, conversation_id)
    SELECT n.wamid, n.sender_id, n.person, n.user_id, n.name, n.at, n.kind, n.context_wamid, n.content, kept.id
    FROM news n
    JOIN kept USING (sender_id, person_key)
    WHERE n.wamid IS NOT NULL
    ORDER BY n.wamid
    ON CONFLICT (wamid) DO NOTHING
    RETURNING sender_id
)
SELECT s AS sender, count(*) AS messages FROM new JOIN senders s ON s.id = new.sender_id GROUP BY s.*

-- name: rename
-- Conversations of a person who is known under another key now, where the other key has none with the same sender.
-- $3: of a number, only what was begun until then, or is known by an id of the person: the rest is of whoever has it next.
UPDATE conversations c
SET person_key = $2, person = coalesce($4, c.person)
WHERE c.person_key = $1 AND c.merged_into IS NULL
  AND ($3::timestamptz IS NULL OR c.started_at <= $3 OR c.user_id IN (SELECT id FROM identities WHERE person_key = $2))
  AND NOT EXISTS (SELECT FROM conversations o WHERE o.sender_id = c.sender_id AND o.person_key = $2)

-- name: absorb
-- The others become part of the one that the person has with the same sender. The row itself stays, for a reply may be on its
-- way in it, and keeps the window it has now; its key is free for whoever has the number next.
WITH pair AS (
    SELECT f.id AS former_id, f AS former, o.id AS kept_id
    FROM conversations f
    JOIN conversations o ON o.sender_id = f.sender_id AND o.person_key = $2
    WHERE f.person_key = $1 AND f.merged_into IS NULL
      AND ($3::timestamptz IS NULL OR f.started_at <= $3 OR f.user_id IN (SELECT id FROM identities WHERE person_key = $2))
), kept AS (
    UPDATE conversations o
    SET person = coalesce($4, o.person),
        (user_id, identified_at) = (SELECT * FROM latest(
            o.user_id, o.identified_at, (former).user_id, (former).identified_at)),
        (name, named_at) = (SELECT * FROM latest(o.name, o.named_at, (former).name, (former).named_at)),
        (last_inbound_wamid, last_inbound_at) = (SELECT * FROM latest(
            o.last_inbound_wamid, o.last_inbound_at, (former).last_inbound_wamid, (former).last_inbound_at)),
        window_ends_at = greatest(o.window_ends_at, (former).window_ends_at),
        free_entry_at = greatest(o.free_entry_at, (former).free_entry_at),
        started_at = least(o.started_at, (former).started_at)
    FROM pair
    WHERE o.id = pair.kept_id
    RETURNING o.id, o.person, o.user_id, o.window_ends_at, o.last_inbound_wamid
), moved AS (
    UPDATE inbound SET conversation_id = pair.kept_id FROM pair WHERE conversation_id = pair.former_id
)
UPDATE conversations f
SET merged_into = kept.id, person_key = f.person_key || '#' || f.id, person = kept.person, user_id = kept.user_id,
    window_ends_at = kept.window_ends_at, last_inbound_wamid = kept.last_inbound_wamid
FROM pair
JOIN kept ON kept.id = pair.kept_id
WHERE f.id = pair.former_id

-- name: list
-- Conversations, the one in which somebody wrote last first; of one sender ($2), only with an open window ($3), of one
-- person ($4), or one by its number ($5).
SELECT c.id, s.name AS sender, c.person_key, c.person, c.user_id, c.name,
    nullif(c.window_ends_at, '-infinity') AS window_ends_at, c.last_inbound_at, c.free_entry_at, c.started_at,
    (SELECT reason FROM suppressions p
     WHERE p.person_key = c.person_key AND (p.until IS NULL OR p.until > ledger_now())) AS suppressed
FROM conversations c
JOIN senders s ON s.id = c.sender_id
WHERE c.merged_into IS NULL AND ($2::text IS NULL OR s.name = $2)
  AND (NOT $3 OR c.window_ends_at > ledger_now()) AND ($4::text IS NULL OR c.person_key = $4)
  AND ($5::bigint IS NULL OR c.id = $5)
ORDER BY c.last_inbound_at DESC NULLS LAST, c.id DESC
LIMIT $1

-- name: page
-- The same order, of all or of one sender ($2), after the place where a page ended: when its last person wrote ($3; NULL:
-- never), and its number ($4; NULL: from the beginning). Each half reads no more than a page from an index.
WITH heard AS (
    SELECT * FROM conversations
    WHERE merged_into IS NULL AND ($2::bigint IS NULL OR sender_id = $2)
      AND last_inbound_at <= CASE
          WHEN $3::timestamptz IS NOT NULL THEN $3
          WHEN $4::bigint IS NULL THEN 'infinity' ELSE '-infinity' END
      AND ($4 IS NULL OR last_inbound_at < $3 OR id < $4)
    ORDER BY last_inbound_at DESC NULLS LAST, id DESC
    LIMIT $1
), silent AS (
    SELECT * FROM conversations
    WHERE merged_into IS NULL AND ($2::bigint IS NULL OR sender_id = $2)
      AND last_inbound_at IS NULL AND ($3 IS NOT NULL OR $4 IS NULL OR id < $4)
    ORDER BY id DESC
    LIMIT $1
)
SELECT c.id, s.name AS sender, c.person_key, c.person, c.user_id, c.name,
    nullif(c.window_ends_at, '-infinity') AS window_ends_at, c.last_inbound_at, c.free_entry_at, c.started_at,
    (SELECT reason FROM suppressions p
     WHERE p.person_key = c.person_key AND (p.until IS NULL OR p.until > ledger_now())) AS suppressed
FROM (SELECT * FROM heard UNION ALL SELECT * FROM silent) c
JOIN senders s ON s.id = c.sender_id
ORDER BY c.last_inbound_at DESC NULLS LAST, c.id DESC
LIMIT $1

-- name: survivor
-- The conversation that a number stands for, itself or the one that it became part of.
WITH RECURSIVE way AS (
    SELECT id, merged_into FROM conversations WHERE id = $1
    UNION ALL
    SELECT c.id, c.merged_into FROM way JOIN conversations c ON c.id = way.merged_into
)
SELECT id FROM way WHERE merged_into IS NULL

-- name: inbound
SELECT at, kind, wamid, content FROM inbound WHERE conversation_id = $1 ORDER BY at DESC, wamid DESC LIMIT $2

-- name: outbound
-- Messages of campaigns to the person by this sender, and replies; the newest first. Older messages of campaigns than Meta
-- reports on are not looked for.
SELECT m.posted_at AS at, 'template' AS kind, c.name || ': ' || c.template AS text, m.wamid
FROM conversations v
JOIN lanes l ON l.sender_id = v.sender_id
JOIN campaigns c ON c.id = l.campaign_id AND c.started_at > ledger_now() - interval '35 days'
-- why LATERAL and OFFSET: each campaign in its partition, not in all of them.
CROSS JOIN LATERAL (SELECT message_id FROM members WHERE campaign_id = c.id AND person_key = v.person_key OFFSET 0) a
CROSS JOIN LATERAL (
    SELECT posted_at, wamid
    FROM messages
    WHERE campaign_id = c.id AND id = a.message_id AND sender_id = v.sender_id
    OFFSET 0) m
WHERE v.id = $1 AND m.posted_at IS NOT NULL
UNION ALL
SELECT posted_at, content ->> 'type', coalesce(content -> 'text' ->> 'body', content ->> 'type'), wamid
FROM replies
WHERE conversation_id = $1 AND posted_at IS NOT NULL
ORDER BY at DESC
LIMIT $2

-- name: answered_at
-- When the person who came by a free entry point was first written to after that.
SELECT least(
    (SELECT min(m.posted_at)
    FROM lanes l
    JOIN campaigns c ON c.id = l.campaign_id AND c.started_at > v.free_entry_at - interval '35 days'
    CROSS JOIN LATERAL (SELECT message_id FROM members WHERE campaign_id = c.id AND person_key = v.person_key OFFSET 0) a
    CROSS JOIN LATERAL (
        SELECT posted_at
        FROM messages
        WHERE campaign_id = c.id AND id = a.message_id AND sender_id = v.sender_id
        OFFSET 0) m
    WHERE l.sender_id = v.sender_id AND m.posted_at >= v.free_entry_at),
    (SELECT min(r.posted_at) FROM replies r WHERE r.conversation_id = v.id AND r.posted_at >= v.free_entry_at))
FROM conversations v
WHERE v.id = $1
