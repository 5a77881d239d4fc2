-- The ledger: what is true about senders, campaigns and messages.
--
-- Time. Every statement asks ledger_now(), the server's clock, so that hosts need not agree on theirs;
-- a test or a rehearsal moves it with the setting dispatcher.now.
--
-- States. Each CHECK repeats a StrEnum of dispatcher/domain; a test keeps the two equal.
--
-- Counters. A lane counts what its own turns settle, in the same transaction as the messages. Only one turn
-- of a lane runs at a time, so no two transactions of the hot path want the same row. A campaign's totals are
-- the sums over its lanes and its own few bulk counters; what is pending is what is left of the audience.

CREATE FUNCTION ledger_now() RETURNS timestamptz
LANGUAGE sql STABLE
RETURN coalesce(nullif(current_setting('dispatcher.now', true), '')::timestamptz, clock_timestamp());

-- One row: which ledger this is. Its id is part of every message token.
CREATE TABLE instance (
    is_the_only boolean PRIMARY KEY DEFAULT true CHECK (is_the_only),
    id text NOT NULL DEFAULT substr(md5(random()::text || clock_timestamp()::text), 1, 8),
    created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
INSERT INTO instance DEFAULT VALUES;

CREATE TABLE senders (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE,
    phone_number_id text NOT NULL UNIQUE,
    phone text NOT NULL,
    waba_id text NOT NULL,
    portfolio_id text,
    status text NOT NULL CONSTRAINT senders_status CHECK (status IN (
        'CONNECTED', 'PENDING', 'DELETED', 'BANNED', 'RESTRICTED', 'DISCONNECTED', 'UNKNOWN', 'MIGRATED',
        'RATE_LIMITED', 'FLAGGED', 'UNVERIFIED')),
    lifecycle text NOT NULL CONSTRAINT senders_lifecycle CHECK (lifecycle IN (
        'online', 'connecting', 'pending', 'offline', 'suspended', 'failed')),
    quality text NOT NULL CONSTRAINT senders_quality CHECK (quality IN ('high', 'medium', 'low', 'unrated')),
    tier_limit bigint CHECK (tier_limit > 0),
    tier_label text NOT NULL,
    limit_scope text NOT NULL CONSTRAINT senders_limit_scope CHECK (limit_scope IN ('sender', 'portfolio')),
    rate_milli_per_s bigint NOT NULL CHECK (rate_milli_per_s > 0),
    enabled boolean NOT NULL DEFAULT true,
    token_ref text NOT NULL,
    origin text NOT NULL DEFAULT 'platform',
    changed_at timestamptz NOT NULL DEFAULT ledger_now()
);
COMMENT ON COLUMN senders.tier_limit IS 'people per rolling day; NULL is unlimited';
COMMENT ON COLUMN senders.token_ref IS 'env:NAME or file:/path, never the token itself';
CREATE INDEX senders_pool ON senders (portfolio_id);

CREATE TABLE templates (
    waba_id text NOT NULL,
    name text NOT NULL,
    language text NOT NULL,
    status text NOT NULL,
    category text NOT NULL,
    body jsonb NOT NULL,
    synced_at timestamptz NOT NULL DEFAULT ledger_now(),
    PRIMARY KEY (waba_id, name, language)
);
COMMENT ON COLUMN templates.body IS 'the template as the account answered it';

-- Everything of a sender, template, account or portfolio waits while such a row is in force.
CREATE TABLE holds (
    scope text NOT NULL CONSTRAINT holds_scope CHECK (scope IN ('sender', 'template', 'account', 'portfolio')),
    key text NOT NULL,
    reason text NOT NULL CONSTRAINT holds_reason CHECK (reason IN (
        'not_started', 'paused', 'queued', 'sender_blocked', 'sender_disabled', 'sender_held', 'template_blocked',
        'account_fault', 'tier_exhausted', 'rate', 'fair_share', 'pair', 'person_cooldown', 'retry_later',
        'limits_unavailable', 'channel_unavailable', 'worker_lost')),
    until timestamptz,
    detail text NOT NULL DEFAULT '',
    code int,
    since timestamptz NOT NULL DEFAULT ledger_now(),
    PRIMARY KEY (scope, key, reason)
);

CREATE TABLE suppressions (
    person_key text PRIMARY KEY,
    person text NOT NULL,
    reason text NOT NULL,
    source text NOT NULL,
    at timestamptz NOT NULL DEFAULT ledger_now()
);

CREATE TABLE campaigns (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL,
    state text NOT NULL DEFAULT 'draft' CONSTRAINT campaigns_state CHECK (state IN (
        'draft', 'running', 'paused', 'completed', 'cancelled')),
    template text NOT NULL,
    language text NOT NULL,
    mapping jsonb NOT NULL,
    columns text[] NOT NULL,
    weight int NOT NULL DEFAULT 1 CHECK (weight BETWEEN 1 AND 1000),
    priority int NOT NULL DEFAULT 0,
    deadline timestamptz,
    unsure_policy text NOT NULL CONSTRAINT campaigns_unsure_policy CHECK (unsure_policy IN ('give_up', 'resend', 'ask')),
    idempotency_key text UNIQUE,
    created_at timestamptz NOT NULL DEFAULT ledger_now(),
    started_at timestamptz,
    finished_at timestamptz,
    audience bigint NOT NULL DEFAULT 0,
    suppressed bigint NOT NULL DEFAULT 0,
    cancelled bigint NOT NULL DEFAULT 0,
    expired bigint NOT NULL DEFAULT 0,
    rejected bigint NOT NULL DEFAULT 0
);
COMMENT ON COLUMN campaigns.rejected IS 'rows of the audience that never became a message; they are not part of it';
COMMENT ON COLUMN campaigns.suppressed IS 'people suppressed by an import; those found at a claim are counted by the lane';

CREATE SEQUENCE turns;

CREATE TABLE lanes (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    campaign_id bigint NOT NULL REFERENCES campaigns ON DELETE CASCADE,
    sender_id bigint NOT NULL REFERENCES senders,
    generation int NOT NULL DEFAULT 0,
    turn_id bigint,
    owner text,
    lease_until timestamptz,
    next_at timestamptz,
    poked boolean NOT NULL DEFAULT false,
    hold_reason text CONSTRAINT lanes_hold_reason CHECK (hold_reason IN (
        'not_started', 'paused', 'queued', 'sender_blocked', 'sender_disabled', 'sender_held', 'template_blocked',
        'account_fault', 'tier_exhausted', 'rate', 'fair_share', 'pair', 'person_cooldown', 'retry_later',
        'limits_unavailable', 'channel_unavailable', 'worker_lost')),
    hold_until timestamptz,
    hold_detail text NOT NULL DEFAULT '',
    claimed bigint NOT NULL DEFAULT 0,
    accepted bigint NOT NULL DEFAULT 0,
    refused bigint NOT NULL DEFAULT 0,
    unsure bigint NOT NULL DEFAULT 0,
    suppressed bigint NOT NULL DEFAULT 0,
    UNIQUE (campaign_id, sender_id),
    CHECK ((turn_id IS NULL) = (lease_until IS NULL))
) WITH (fillfactor = 50);
COMMENT ON COLUMN lanes.turn_id IS 'the turn that holds the lane''s lease; NULL between turns';
COMMENT ON COLUMN lanes.poked IS 'something changed while a turn ran: whatever that turn concludes, another follows at once';
COMMENT ON COLUMN lanes.next_at IS 'when the next turn is due; NULL while an event must come first';

CREATE TABLE messages (
    campaign_id bigint NOT NULL,
    id bigint GENERATED ALWAYS AS IDENTITY,
    person text NOT NULL,
    person_key text NOT NULL,
    params text[] NOT NULL,
    state text NOT NULL DEFAULT 'pending' CONSTRAINT messages_state CHECK (state IN (
        'pending', 'claimed', 'accepted', 'refused', 'unsure', 'suppressed', 'cancelled', 'expired')),
    not_before timestamptz NOT NULL DEFAULT '-infinity',
    reason text,
    claim_id bigint,
    sender_id bigint,
    attempt smallint NOT NULL DEFAULT 0,
    posted_at timestamptz,
    wamid text,
    code int,
    detail text,
    line int,
    PRIMARY KEY (campaign_id, id),
    UNIQUE (campaign_id, person_key),
    CONSTRAINT messages_wait_has_a_reason CHECK (not_before = '-infinity' OR reason IS NOT NULL)
) WITH (fillfactor = 80);
COMMENT ON COLUMN messages.claim_id IS 'the turn that has, or last had, the message';
COMMENT ON COLUMN messages.line IS 'the row of the audience file, for people';

-- why: the claim reads only this, in order, and stops at the first message whose time has not come.
CREATE INDEX messages_pending ON messages (campaign_id, not_before, id) WHERE state = 'pending';
-- why: unsure messages are few, and people ask for all of them.
CREATE INDEX messages_unsure ON messages (campaign_id, id) WHERE state = 'unsure';
-- why: the limits are rebuilt from what each sender has posted within the last day.
CREATE INDEX messages_posted ON messages (sender_id, posted_at) WHERE posted_at IS NOT NULL;

-- Attempts that were answered and are superseded by a later one; the last attempt stands in the message itself.
CREATE TABLE attempts (
    campaign_id bigint NOT NULL,
    message_id bigint NOT NULL,
    attempt smallint NOT NULL,
    sender_id bigint NOT NULL,
    at timestamptz NOT NULL DEFAULT ledger_now(),
    wamid text,
    code int,
    reason text,
    detail text,
    PRIMARY KEY (campaign_id, message_id, attempt)
);

-- Rows of an audience that cannot become a message.
CREATE TABLE rejected_rows (
    campaign_id bigint NOT NULL REFERENCES campaigns ON DELETE CASCADE,
    line int NOT NULL,
    "column" text NOT NULL,
    reason text NOT NULL,
    value text NOT NULL,
    PRIMARY KEY (campaign_id, line)
);
