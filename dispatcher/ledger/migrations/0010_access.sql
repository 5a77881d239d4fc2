-- Keys of the HTTP API, and the audit log.

CREATE TABLE api_keys (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL,
    prefix text NOT NULL UNIQUE,
    digest bytea NOT NULL CHECK (octet_length(digest) = 32),
    scopes text[] NOT NULL CONSTRAINT api_keys_scopes CHECK (scopes <@ ARRAY[
        'read', 'campaigns:write', 'messages:write', 'senders:admin', 'suppressions:write', 'operations:write',
        'keys:admin']),
    rate_milli_per_s bigint NOT NULL CHECK (rate_milli_per_s > 0),
    created_at timestamptz NOT NULL DEFAULT ledger_now(),
    expires_at timestamptz,
    revoked_at timestamptz,
    last_used_at timestamptz
);
COMMENT ON COLUMN api_keys.prefix IS 'the public part of the key, by which it is found';
COMMENT ON COLUMN api_keys.digest IS 'SHA-256 of the secret part, which is kept nowhere';
COMMENT ON COLUMN api_keys.last_used_at IS 'written at most once a minute';

-- Who ordered what. What was done is written in the transaction that does it; refused calls of one actor, action and
-- cause share one entry per hour, so that nobody fills the disk by asking.
CREATE TABLE audit_log (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT ledger_now(),
    actor_kind text NOT NULL CONSTRAINT audit_log_actor_kind CHECK (actor_kind IN ('key', 'command', 'nobody')),
    actor text NOT NULL,
    outcome text NOT NULL CONSTRAINT audit_log_outcome CHECK (outcome IN ('done', 'refused')),
    action text NOT NULL,
    subject text NOT NULL,
    before jsonb,
    after jsonb,
    times bigint NOT NULL DEFAULT 1,
    last_at timestamptz NOT NULL DEFAULT ledger_now()
);
COMMENT ON COLUMN audit_log.subject IS 'what it was done to; of a refused call the cause';
CREATE UNIQUE INDEX audit_log_refused ON audit_log (actor_kind, actor, action, subject, at) WHERE outcome = 'refused';

COMMENT ON COLUMN senders.token_ref IS 'env:NAME, file:/path, or sealed: and the token, encrypted with a key from the environment';
