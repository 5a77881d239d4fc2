-- Replies and conversations over HTTP: a scope for those who answer people, and lists of one sender that cost what they show.

ALTER TABLE api_keys
    DROP CONSTRAINT api_keys_scopes,
    ADD CONSTRAINT api_keys_scopes CHECK (scopes <@ ARRAY[
        'read', 'campaigns:write', 'messages:write', 'replies:write', 'senders:admin', 'suppressions:write',
        'operations:write', 'keys:admin']);

CREATE INDEX replies_of_sender ON replies (sender_id, id);
CREATE INDEX conversations_of_sender ON conversations (sender_id, last_inbound_at DESC NULLS LAST) WHERE merged_into IS NULL;
