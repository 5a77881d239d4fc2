-- Replies: free-form messages inside a service window, one after the other within their conversation.
--
-- A reply goes through the states of a message. Its attempts and receipts stand where those of messages stand, under
-- campaign 0, which no campaign has: so do the tokens that travel to Meta and back.

CREATE TABLE replies (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    conversation_id bigint NOT NULL REFERENCES conversations,
    sender_id bigint NOT NULL REFERENCES senders,
    position int NOT NULL,
    content jsonb NOT NULL,
    context_wamid text,
    idempotency_key text,
    unsure_policy text NOT NULL CONSTRAINT replies_unsure_policy CHECK (unsure_policy IN ('give_up', 'resend', 'ask')),
    queued_at timestamptz NOT NULL DEFAULT ledger_now(),
    state text NOT NULL DEFAULT 'pending' CONSTRAINT replies_state CHECK (state IN (
        'pending', 'claimed', 'accepted', 'refused', 'unsure', 'suppressed', 'cancelled', 'expired')),
    not_before timestamptz NOT NULL DEFAULT '-infinity',
    reason text,
    claim_id bigint,
    attempt smallint NOT NULL DEFAULT 0,
    posted_at timestamptz,
    wamid text,
    code int,
    detail text,
    UNIQUE (conversation_id, position),
    UNIQUE (sender_id, idempotency_key),
    CONSTRAINT replies_wait_has_a_reason CHECK (not_before = '-infinity' OR reason IS NOT NULL)
) WITH (fillfactor = 80);
COMMENT ON COLUMN replies.position IS 'its place within the conversation; a later one waits until all before it have ended';
COMMENT ON COLUMN replies.content IS 'as Meta takes it, without recipient, context and token';
COMMENT ON COLUMN replies.context_wamid IS 'the message that it answers';
COMMENT ON COLUMN replies.claim_id IS 'the reply turn that has, or last had, the reply';

-- why: the claim reads the pending of one sender in order …
CREATE INDEX replies_pending ON replies (sender_id, not_before, id) WHERE state = 'pending';
-- … and asks of each whether one before it has not ended.
CREATE INDEX replies_unfinished ON replies (conversation_id, position) WHERE state IN ('pending', 'claimed', 'unsure');
CREATE INDEX replies_claimed ON replies (claim_id) WHERE state = 'claimed';
CREATE INDEX replies_unsure ON replies (id) WHERE state = 'unsure';
CREATE INDEX replies_wamid ON replies USING hash (wamid) WHERE wamid IS NOT NULL;

-- How many replies a conversation has had. Whoever queues one locks its row until he commits, so that replies become
-- visible in the order of their positions. A row of its own, for conversations are written by whatever comes in.
CREATE TABLE reply_positions (
    conversation_id bigint PRIMARY KEY REFERENCES conversations ON DELETE CASCADE,
    last int NOT NULL
) WITH (fillfactor = 70);

-- Turns that serve replies. Several may serve one sender: what one claims the other passes over.
CREATE TABLE reply_turns (
    turn_id bigint PRIMARY KEY DEFAULT nextval('turns'),
    sender_id bigint NOT NULL REFERENCES senders,
    owner text NOT NULL,
    lease_until timestamptz NOT NULL
) WITH (fillfactor = 50);
COMMENT ON COLUMN reply_turns.turn_id IS 'numbered together with the turns of lanes, for the limits know both';

-- A person is also looked for by the id that Meta gives where the number is hidden.
CREATE INDEX conversations_user_id ON conversations (sender_id, user_id) WHERE user_id IS NOT NULL;

-- why: a reply may wait for the one before it.
ALTER TABLE holds
    DROP CONSTRAINT holds_reason,
    ADD CONSTRAINT holds_reason CHECK (reason IN (
        'not_started', 'paused', 'fenced', 'queued', 'in_order', 'sender_blocked', 'sender_disabled', 'sender_held',
        'template_blocked', 'account_fault', 'tier_exhausted', 'rate', 'fair_share', 'pair', 'person_cooldown',
        'retry_later', 'limits_unavailable', 'channel_unavailable', 'worker_lost'));

ALTER TABLE lanes
    DROP CONSTRAINT lanes_hold_reason,
    ADD CONSTRAINT lanes_hold_reason CHECK (hold_reason IN (
        'not_started', 'paused', 'fenced', 'queued', 'in_order', 'sender_blocked', 'sender_disabled', 'sender_held',
        'template_blocked', 'account_fault', 'tier_exhausted', 'rate', 'fair_share', 'pair', 'person_cooldown',
        'retry_later', 'limits_unavailable', 'channel_unavailable', 'worker_lost'));
