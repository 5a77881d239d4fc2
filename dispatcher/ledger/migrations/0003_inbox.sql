-- Webhooks on their way in.
--
-- The endpoint answers 200 once a body is here; workers take bodies out in the transaction that applies them. So between
-- Meta's 200 and the ledger's other tables nothing can be lost, and a body that does no good is put aside, never dropped.

CREATE TABLE inbox (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    received_at timestamptz NOT NULL DEFAULT ledger_now(),
    body bytea NOT NULL
) WITH (
    -- why: every row is deleted within a second or so, and whoever looks for the oldest walks over those not yet cleared.
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_insert_threshold = -1,
    -- why: giving the file's empty end back would lock out whoever writes.
    vacuum_truncate = false
);
COMMENT ON COLUMN inbox.received_at IS 'when Meta first delivered it; kept by a replay';
COMMENT ON COLUMN inbox.body IS 'one request of Meta, byte for byte; its signature was right';
-- why: compressing what lives for a moment costs more than it saves.
ALTER TABLE inbox ALTER COLUMN body SET STORAGE EXTERNAL;

-- Bodies, or pieces of them, that could not be used: each a webhook body again, which a replay puts back into the inbox.
CREATE TABLE quarantine (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    received_at timestamptz NOT NULL,
    at timestamptz NOT NULL DEFAULT ledger_now(),
    reason text NOT NULL,
    detail text NOT NULL,
    body bytea NOT NULL,
    retry_at timestamptz
);
COMMENT ON COLUMN quarantine.at IS 'when it was put aside';
COMMENT ON COLUMN quarantine.retry_at IS 'when it goes back into the inbox by itself; NULL: when an operator says so';
CREATE INDEX quarantine_reason ON quarantine (reason, id);
CREATE INDEX quarantine_retry ON quarantine (retry_at) WHERE retry_at IS NOT NULL;
