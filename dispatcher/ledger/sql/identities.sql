-- Who is who: ids of people, and what becomes of everything kept under one of them when it turns out to be another's.

-- name: lock
-- One transaction at a time decides about a person. Some ids share a lock, so that a large batch needs few of them; all take
-- them in one order. They are let go at the end of the transaction.
SELECT pg_advisory_xact_lock(7221002, stripe)
FROM (SELECT DISTINCT hashtext(id) & 1023 AS stripe FROM unnest($1::text[]) AS id ORDER BY stripe) AS stripes

-- name: known
SELECT id, person_key, person, linked_at, until FROM identities WHERE id = ANY ($1::text[])

-- name: learn
INSERT INTO identities (id, person_key, person, linked_at, until)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::timestamptz[])
ORDER BY 1
ON CONFLICT (id) DO UPDATE
SET person_key = excluded.person_key, person = excluded.person, linked_at = excluded.linked_at, until = greatest(identities.until, excluded.until)

-- name: repoint
-- Other ids of a person who is known under another key now ($3: only those linked until then).
UPDATE identities
SET person_key = $2, person = $4, linked_at = CASE WHEN $3::timestamptz IS NULL THEN $5 ELSE greatest(linked_at, $5) END
WHERE person_key = $1 AND ($3::timestamptz IS NULL OR linked_at <= $3)

-- name: of_person
SELECT id, linked_at, until FROM identities WHERE person_key = $1 AND id <> $1 ORDER BY linked_at, id

-- name: canonical
-- Ids as somebody gives them, and the person each of them stands for now.
SELECT asked.id, coalesce(i.person_key, asked.id) AS person_key, i.person
FROM unnest($1::text[]) AS asked (id)
LEFT JOIN identities i ON i.id = asked.id AND i.until IS NULL
