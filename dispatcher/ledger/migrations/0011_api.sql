-- What the HTTP API needs: uploads that add to each other, answers that are kept for repeated calls, and single messages.

-- Each import into a campaign. Its people and rejected rows stand under consecutive numbers of lines: line n of an upload
-- is line lines_before + n of the campaign.
CREATE TABLE uploads (
    campaign_id bigint NOT NULL REFERENCES campaigns ON DELETE CASCADE,
    number int NOT NULL,
    lines_before int NOT NULL,
    lines int NOT NULL,
    people bigint NOT NULL,
    suppressed bigint NOT NULL,
    rejected bigint NOT NULL,
    at timestamptz NOT NULL DEFAULT ledger_now(),
    PRIMARY KEY (campaign_id, number),
    UNIQUE (campaign_id, lines_before)
);
-- Only drafts take further uploads, so only these need to know what was there before.
INSERT INTO uploads (campaign_id, number, lines_before, lines, people, suppressed, rejected)
SELECT c.id, 1, 0,
    greatest(
        (SELECT max(line) FROM messages WHERE campaign_id = c.id),
        (SELECT max(line) FROM rejected_rows WHERE campaign_id = c.id)),
    audience, suppressed, rejected
FROM campaigns c
WHERE state = 'draft' AND audience + rejected > 0;

ALTER TABLE campaigns
    ADD COLUMN kind text NOT NULL DEFAULT 'audience' CONSTRAINT campaigns_kind CHECK (kind IN ('audience', 'single')),
    ADD COLUMN metadata jsonb NOT NULL DEFAULT '{}';
COMMENT ON COLUMN campaigns.metadata IS 'texts under names of the owner''s own; we only keep them';

-- A call that creates something, and what it was answered: one row per key and Idempotency-Key, written in the transaction
-- that creates it. So a repetition finds either the answer or nothing at all.
CREATE TABLE answered_calls (
    key_id bigint NOT NULL REFERENCES api_keys ON DELETE CASCADE,
    idempotency_key text NOT NULL,
    fingerprint bytea NOT NULL,
    status smallint,
    headers jsonb,
    body bytea,
    at timestamptz NOT NULL DEFAULT ledger_now(),
    PRIMARY KEY (key_id, idempotency_key)
);
COMMENT ON COLUMN answered_calls.fingerprint IS 'SHA-256 of what was asked';
COMMENT ON COLUMN answered_calls.status IS 'NULL only within the transaction that carries the call out';
CREATE INDEX answered_calls_old ON answered_calls (at);

-- why: single messages leave a lane each, and whoever looks for lanes that are due shall not read those that are done.
CREATE INDEX lanes_due ON lanes (next_at) WHERE next_at IS NOT NULL;
-- why: lists begin with the newest campaign, and single messages, which they leave out, may be very many.
CREATE INDEX campaigns_of_audiences ON campaigns (id) WHERE kind = 'audience';
