-- What Meta's form of events needs besides what the events say.

-- name: facts
-- One row for each, in their order: whose number it concerns, and how the message stands by now.
-- $1 campaigns (0 for replies, NULL for none), $2 messages or replies, $3 senders' names (NULL where none is told).
SELECT s.waba_id, s.phone_number_id, s.phone, d.data AS callback_data, coalesce(m.state, r.state) AS state,
    coalesce(m.attempt, r.attempt) AS attempt
FROM unnest($1::bigint[], $2::bigint[], $3::text[]) WITH ORDINALITY AS a (campaign_id, message_id, sender, place)
LEFT JOIN callback_data d ON d.campaign_id = a.campaign_id AND d.message_id = a.message_id
LEFT JOIN messages m ON m.campaign_id = a.campaign_id AND m.id = a.message_id
LEFT JOIN replies r ON a.campaign_id = 0 AND r.id = a.message_id
LEFT JOIN senders s ON s.id = coalesce(
    (SELECT id FROM senders WHERE name = a.sender),
    -- why a lane's: a message that was never posted has no sender yet.
    (SELECT l.sender_id FROM lanes l WHERE l.campaign_id = a.campaign_id ORDER BY l.id LIMIT 1))
ORDER BY a.place

-- name: forget_callback_data
-- Meta reports on a message for 30 days. $1 at most.
DELETE FROM callback_data
WHERE (campaign_id, message_id) IN (
    SELECT campaign_id, message_id FROM callback_data WHERE at < ledger_now() - interval '35 days' ORDER BY at LIMIT $1)

-- name: forget_uploads
-- Media that Meta has forgotten by now, $1 at most.
DELETE FROM uploaded_media
WHERE id IN (SELECT id FROM uploaded_media WHERE at < ledger_now() - interval '31 days' ORDER BY at LIMIT $1)
