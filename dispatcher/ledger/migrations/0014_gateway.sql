-- What clients of Meta's own API need: templates one by one, what they want to get back with reports, whose media is whose.

-- A standing campaign takes messages of one sender and one form while it runs, and again when it had come to its end.
ALTER TABLE campaigns
    DROP CONSTRAINT campaigns_kind,
    ADD CONSTRAINT campaigns_kind CHECK (kind IN ('audience', 'single', 'standing'));

CREATE TABLE standing_campaigns (
    campaign_id bigint PRIMARY KEY REFERENCES campaigns ON DELETE CASCADE,
    sender_id bigint NOT NULL REFERENCES senders,
    template text NOT NULL,
    language text NOT NULL,
    columns text[] NOT NULL,
    takes_until timestamptz NOT NULL
);
COMMENT ON COLUMN standing_campaigns.columns IS 'the slots that its messages fill; what fills others is in another campaign';
COMMENT ON COLUMN standing_campaigns.takes_until IS 'afterwards the next one takes its place';
CREATE INDEX standing_campaigns_form ON standing_campaigns (sender_id, template, language, columns, campaign_id DESC);
-- why: how much waits is asked with each message, and those that have come to their end are many.
CREATE INDEX campaigns_standing ON campaigns (id) WHERE kind = 'standing' AND state IN ('running', 'paused');

-- What a client gave with a message, to get it back with each report; under campaign 0 for replies.
CREATE TABLE callback_data (
    campaign_id bigint NOT NULL,
    message_id bigint NOT NULL,
    data text NOT NULL,
    at timestamptz NOT NULL DEFAULT ledger_now(),
    PRIMARY KEY (campaign_id, message_id)
);
CREATE INDEX callback_data_old ON callback_data (at);

-- Media that clients have uploaded through us. An id alone does not say whose token opens it.
CREATE TABLE uploaded_media (
    id text PRIMARY KEY,
    sender_id bigint NOT NULL REFERENCES senders ON DELETE CASCADE,
    at timestamptz NOT NULL DEFAULT ledger_now()
);
CREATE INDEX uploaded_media_old ON uploaded_media (at);
-- Media that people have sent.
CREATE INDEX inbound_media ON inbound ((content -> kind ->> 'id'))
    WHERE kind IN ('image', 'video', 'audio', 'document', 'sticker');
-- Templates by Meta's id.
CREATE INDEX templates_id ON templates ((body ->> 'id'));
