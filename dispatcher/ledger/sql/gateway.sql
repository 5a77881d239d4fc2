-- What clients of Meta's own API name: numbers, accounts, media and templates by Meta's ids, and messages by ours.

-- name: sender_by_number
SELECT * FROM senders WHERE phone_number_id = $1

-- name: sender_by_node
-- Whose token opens what Meta calls $1: a number, an account, media that was uploaded or that a person has sent, a template.
-- Of an account any sender will do. No row: it is nobody's here.
SELECT s.*, n.kind
FROM (
    (SELECT 'number' AS kind, id FROM senders WHERE phone_number_id = $1)
    UNION ALL
    (SELECT 'account', id FROM senders WHERE waba_id = $1 ORDER BY id LIMIT 1)
    UNION ALL
    (SELECT 'media', sender_id FROM uploaded_media WHERE uploaded_media.id = $1)
    UNION ALL
    (SELECT 'media', sender_id FROM inbound
        WHERE content -> kind ->> 'id' = $1 AND kind IN ('image', 'video', 'audio', 'document', 'sticker') LIMIT 1)
    UNION ALL
    (SELECT 'template', m.id FROM templates t JOIN senders m ON m.waba_id = t.waba_id WHERE t.body ->> 'id' = $1 LIMIT 1)
) AS n
JOIN senders s ON s.id = n.id
LIMIT 1

-- name: keep_upload
INSERT INTO uploaded_media (id, sender_id) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING

-- name: keep_callback_data
INSERT INTO callback_data (campaign_id, message_id, data) VALUES ($1, $2, $3)

-- name: wamid_of_message
SELECT wamid FROM messages WHERE campaign_id = $1 AND id = $2

-- name: wamid_of_reply
SELECT wamid FROM replies WHERE id = $1
