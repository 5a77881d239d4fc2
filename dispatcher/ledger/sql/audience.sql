-- Filling a campaign with its audience, in one transaction. The rows themselves come by COPY, and everything goes to the
-- campaign's partition of messages; see dispatcher/ledger/partitions.py.

-- name: lock_campaign
-- why NO KEY UPDATE: it keeps other imports and orders out, and lets a lane refer to the campaign meanwhile.
SELECT state, audience, audience + rejected > 0 AS is_filled, columns,
    (SELECT first_id FROM partitions WHERE first_id <= $1 AND end_id > $1) AS partition
FROM campaigns
WHERE id = $1
FOR NO KEY UPDATE NOWAIT

-- name: await_campaign
-- The same for whoever adds to a draft: several pages may come at once, and each waits for those before it.
SELECT state, audience, audience + rejected > 0 AS is_filled, columns,
    (SELECT first_id FROM partitions WHERE first_id <= $1 AND end_id > $1) AS partition
FROM campaigns
WHERE id = $1
FOR NO KEY UPDATE

-- name: before
-- What earlier uploads have brought; the last message by the primary key, from its end.
SELECT count(*)::int AS uploads, coalesce(max(lines_before + lines), 0)::int AS lines,
    coalesce((SELECT id FROM messages WHERE campaign_id = $1 ORDER BY id DESC LIMIT 1), 0) AS last_id
FROM uploads
WHERE campaign_id = $1

-- name: add_members
-- Of the messages after $2, which have come by COPY. Answers with the last of them.
WITH added AS (
    INSERT INTO members (campaign_id, person_key, message_id)
    SELECT $1, m.person_key, m.id
    FROM messages m
    WHERE m.campaign_id = $1 AND m.id > $2
    RETURNING message_id
)
SELECT max(message_id) FROM added

-- name: add_doubtful
-- People who may be in the campaign already, in the order of the file; returns the lines of those who were not.
WITH doubtful AS (
    SELECT * FROM unnest($2::int[], $3::text[], $4::text[], $5::text[]) AS d (line, person, person_key, params)
), added AS (
    INSERT INTO members (campaign_id, person_key, message_id)
    SELECT $1, person_key, nextval('messages_id_seq')
    FROM (SELECT person_key FROM doubtful ORDER BY line) AS in_order
    ON CONFLICT (campaign_id, person_key) DO NOTHING
    RETURNING person_key, message_id
)
INSERT INTO messages (campaign_id, id, line, person, person_key, params)
SELECT DISTINCT ON (a.message_id) $1, a.message_id, d.line, d.person, d.person_key, d.params::text[]
FROM added a
JOIN doubtful d USING (person_key)
ORDER BY a.message_id, d.line
RETURNING line, id

-- name: analyze_messages
-- why inside the transaction: until now the statistics know nothing of this campaign, and the next two statements
-- would read all of its messages once per person.
ANALYZE messages

-- name: analyze_members
ANALYZE members

-- name: name_first_lines
-- Tell each duplicate in which line the person came first. Until now its value is the person's key. $2 the lines before
-- this upload, $3 its number.
UPDATE rejected_rows
SET value = 'same person as line ' || m.line - coalesce(uploads.lines_before, 0)
    || CASE WHEN uploads.number <> $3 THEN ' of upload ' || uploads.number ELSE '' END || ': ' || m.person
FROM members a
JOIN messages m ON m.campaign_id = a.campaign_id AND m.id = a.message_id
LEFT JOIN uploads ON uploads.campaign_id = m.campaign_id
    AND m.line > uploads.lines_before AND m.line <= uploads.lines_before + uploads.lines
WHERE rejected_rows.campaign_id = $1 AND rejected_rows.reason = 'duplicate' AND rejected_rows.line > $2
    AND a.campaign_id = $1 AND a.person_key = rejected_rows.value

-- name: reject_former_numbers
-- A number that somebody has given up, where the file has the same person with the present one: one person, one message.
-- Returns how many rows.
WITH twice AS (
    SELECT former.id, former.line, present.line AS other_line, present.person
    FROM identities i
    -- why LATERAL and OFFSET: from the few numbers to their messages, whatever the statistics say of a campaign that has just come.
    CROSS JOIN LATERAL (SELECT message_id FROM members WHERE campaign_id = $1 AND person_key = i.id OFFSET 0) a
    CROSS JOIN LATERAL (SELECT message_id FROM members WHERE campaign_id = $1 AND person_key = i.person_key OFFSET 0) b
    JOIN messages former ON former.campaign_id = $1 AND former.id = a.message_id AND former.state = 'pending'
    JOIN messages present ON present.campaign_id = $1 AND present.id = b.message_id
    WHERE i.until IS NOT NULL
), gone AS (
    DELETE FROM messages m USING twice WHERE m.campaign_id = $1 AND m.id = twice.id RETURNING m.person_key
), no_member AS (
    DELETE FROM members a USING gone WHERE a.campaign_id = $1 AND a.person_key = gone.person_key
), rejected AS (
    INSERT INTO rejected_rows (campaign_id, line, "column", reason, value)
    SELECT $1, line, '', 'duplicate', 'same person as line ' || other_line || ': ' || person FROM twice
)
SELECT count(*) FROM twice

-- name: suppress
-- Of the messages after $2.
UPDATE messages m
SET state = 'suppressed', reason = 'suppressed: ' || suppressions.reason
FROM suppressions
WHERE m.campaign_id = $1 AND m.id > $2 AND m.person_key = suppressions.person_key
    AND m.state = 'pending'
    AND (suppressions.until IS NULL OR suppressions.until > ledger_now())

-- name: finish
UPDATE campaigns
SET audience = audience + $2, suppressed = suppressed + $3, rejected = rejected + $4
WHERE id = $1

-- name: add_upload
INSERT INTO uploads (campaign_id, number, lines_before, lines, people, suppressed, rejected)
VALUES ($1, $2, $3, $4, $5, $6, $7)
