-- Conversations: what one person and one sender have with each other, opened by the person's first message.
--
-- A person is known by a number, by a business-scoped user id, or by both; `person_key` is the key under which suppressions,
-- people and messages of campaigns know the same person.

CREATE TABLE conversations (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sender_id bigint NOT NULL REFERENCES senders,
    person_key text NOT NULL,
    person text,
    user_id text,
    name text,
    window_ends_at timestamptz NOT NULL DEFAULT '-infinity',
    last_inbound_at timestamptz,
    last_inbound_wamid text,
    started_at timestamptz NOT NULL DEFAULT ledger_now(),
    UNIQUE (sender_id, person_key)
);
COMMENT ON COLUMN conversations.person IS 'E.164 with the plus sign; NULL where only a user id is known';
COMMENT ON COLUMN conversations.window_ends_at IS 'until then free-form replies are allowed; only ever moves up';
