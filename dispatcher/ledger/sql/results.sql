-- What a campaign has come to, beyond its counts: read from its messages, or as it was written down when these were dropped.

-- name: archived
SELECT report FROM archived_reports WHERE campaign_id = $1

-- name: ended
-- Why messages were refused or are unsure.
SELECT state, reason, code, count(*) AS people
FROM messages
WHERE campaign_id = $1 AND state IN ('refused', 'unsure')
GROUP BY state, reason, code
ORDER BY count(*) DESC

-- name: reported
-- How far the accepted messages of a campaign have come, each by the attempt that counts.
SELECT r.state, CASE WHEN r.state = 'failed' THEN r.code END AS code, count(*) AS people
FROM messages m
LEFT JOIN receipts r ON r.campaign_id = m.campaign_id AND r.message_id = m.id AND r.wamid = m.wamid
WHERE m.campaign_id = $1 AND m.state = 'accepted'
GROUP BY 1, 2

-- name: rejected
SELECT reason, count(*) AS rows FROM rejected_rows WHERE campaign_id = $1 GROUP BY reason ORDER BY count(*) DESC

-- name: posting_time
SELECT min(posted_at) AS first, max(posted_at) AS last FROM messages WHERE campaign_id = $1
