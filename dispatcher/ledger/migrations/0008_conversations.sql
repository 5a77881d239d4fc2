-- Conversations: what one person and one sender have with each other, opened by the person's first message.
--
-- A person is known by a number, by business-scoped user ids, or by both; `person_key` is the key under which suppressions,
-- people and messages of campaigns know the same person. It is the number's key, which begins with a plus sign, or the
-- user id as long as no number is known, which does not.

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
    free_entry_at timestamptz,
    named_at timestamptz,
    identified_at timestamptz,
    started_at timestamptz NOT NULL DEFAULT ledger_now(),
    merged_into bigint REFERENCES conversations,
    UNIQUE (sender_id, person_key)
);
COMMENT ON COLUMN conversations.person IS 'E.164 with the plus sign; NULL where only a user id is known';
COMMENT ON COLUMN conversations.window_ends_at IS 'until then free-form replies are allowed; only ever moves up';
COMMENT ON COLUMN conversations.last_inbound_at IS 'when the person last wrote; notices, edits and calls are not counted';
COMMENT ON COLUMN conversations.free_entry_at IS 'when the person last came by an ad or a Page''s button';
COMMENT ON COLUMN conversations.named_at IS 'of the latest news that gave a name';
COMMENT ON COLUMN conversations.identified_at IS 'of the latest news that gave a user id';
COMMENT ON COLUMN conversations.merged_into IS
    'this was found to be another conversation''s person; the row stays for whatever refers to it, under a key of its own';
CREATE INDEX conversations_heard ON conversations (last_inbound_at DESC NULLS LAST) WHERE merged_into IS NULL;
CREATE INDEX conversations_person ON conversations (person_key);

-- Of two values, each told at a time, the later one; at one moment the greater, so that the order of asking does not matter.
CREATE FUNCTION latest(one text, one_at timestamptz, other text, other_at timestamptz, OUT value text, OUT at timestamptz)
LANGUAGE sql IMMUTABLE
RETURN CASE
    WHEN other_at IS NULL OR (one_at IS NOT NULL AND (one_at, one) >= (other_at, other)) THEN (one, one_at)
    ELSE (other, other_at) END;

ALTER TABLE inbound ADD COLUMN conversation_id bigint REFERENCES conversations;
COMMENT ON COLUMN inbound.conversation_id IS 'NULL: it came in before there were conversations';
DROP INDEX inbound_of_person;
CREATE INDEX inbound_conversation ON inbound (conversation_id, at);

-- Who is who. A number stands for itself and needs no row, unless its person has moved on to another one.
CREATE TABLE identities (
    id text PRIMARY KEY,
    person_key text NOT NULL,
    person text,
    linked_at timestamptz NOT NULL,
    until timestamptz
);
COMMENT ON COLUMN identities.id IS 'a user id, also one of a parent business; or the key of a number that was given up';
COMMENT ON COLUMN identities.person IS 'the person''s number as it is written, E.164; NULL where none is known';
COMMENT ON COLUMN identities.linked_at IS 'of the news that told it';
COMMENT ON COLUMN identities.until IS 'of a number that was given up: whoever has it later is somebody else';
CREATE INDEX identities_person ON identities (person_key);
-- why: an import asks for all numbers that were given up, which are few.
CREATE INDEX identities_given_up ON identities (id) WHERE until IS NOT NULL;

-- Opting out and in again. The latest word of a person counts, whenever it is told; what an operator has ordered, only an
-- operator takes back.
ALTER TABLE suppressions ADD COLUMN opted_out_at timestamptz;
COMMENT ON COLUMN suppressions.opted_out_at IS 'when the person opted out; NULL: an operator or a failure put them here';
COMMENT ON COLUMN campaigns.suppressed IS
    'people suppressed by an import, or while they were pending; those found at a claim are counted by the lane';

CREATE TABLE suppression_history (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    person_key text NOT NULL,
    person text NOT NULL,
    user_id text,
    change text NOT NULL CONSTRAINT suppression_history_change CHECK (change IN (
        'opted_out', 'opted_in', 'added', 'removed')),
    reason text NOT NULL,
    source text NOT NULL,
    at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT ledger_now(),
    evidence text UNIQUE
);
COMMENT ON COLUMN suppression_history.user_id IS 'by which it was said, where one was told';
COMMENT ON COLUMN suppression_history.at IS 'when the person said it; order is by this time';
COMMENT ON COLUMN suppression_history.evidence IS 'the message or the piece of news that says so, so that repetitions add nothing';
CREATE INDEX suppression_history_person ON suppression_history (person_key, at);

UPDATE suppressions SET opted_out_at = at WHERE reason = 'opted_out' AND source = 'Meta, 131050';
INSERT INTO suppression_history (person_key, person, change, reason, source, at)
SELECT person_key, person, CASE WHEN opted_out_at IS NULL THEN 'added' ELSE 'opted_out' END, reason, source, at
FROM suppressions
ORDER BY at, person_key;

-- Bodies in which a person may have opted out are taken in before all others.
ALTER TABLE inbox ADD COLUMN is_urgent boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN inbox.is_urgent IS 'whether people speak in it, not only Meta about messages';
CREATE INDEX inbox_urgent ON inbox (id) WHERE is_urgent;
