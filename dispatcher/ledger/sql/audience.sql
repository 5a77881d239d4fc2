-- Filling a campaign with its audience, in one transaction. The rows themselves come by COPY.

-- name: lock_campaign
-- why NO KEY UPDATE: it keeps other imports and orders out, and lets a lane refer to the campaign meanwhile.
SELECT state, audience + rejected > 0 AS is_filled, columns
FROM campaigns
WHERE id = $1
FOR NO KEY UPDATE NOWAIT

-- name: add_doubtful
-- People who may be in the campaign already, in the order of the file; whoever is, stays as he is.
INSERT INTO messages (campaign_id, line, person, person_key, params)
SELECT $1, line, person, person_key, params::text[]
FROM unnest($2::int[], $3::text[], $4::text[], $5::text[]) AS doubtful (line, person, person_key, params)
ORDER BY line
ON CONFLICT (campaign_id, person_key) DO NOTHING

-- name: find_repeated
-- Which of these lines repeat a person, and the line in which he came first.
-- why LATERAL with LIMIT: one look into the unique index each. The statistics know nothing of this campaign yet, so
-- that a plain join may read all of its messages, for every chunk.
SELECT doubtful.line, earlier.line AS first_line
FROM unnest($2::int[], $3::text[]) AS doubtful (line, person_key)
CROSS JOIN LATERAL (
    SELECT line FROM messages WHERE campaign_id = $1 AND person_key = doubtful.person_key LIMIT 1
) AS earlier
WHERE earlier.line <> doubtful.line

-- name: analyze
-- why inside the transaction: the next statement already needs to know how many people the campaign has.
ANALYZE messages

-- name: suppress
UPDATE messages
SET state = 'suppressed', reason = 'suppressed: ' || suppressions.reason
FROM suppressions
WHERE messages.campaign_id = $1 AND messages.person_key = suppressions.person_key AND messages.state = 'pending'

-- name: finish
UPDATE campaigns SET audience = $2, suppressed = $3, rejected = $4 WHERE id = $1
