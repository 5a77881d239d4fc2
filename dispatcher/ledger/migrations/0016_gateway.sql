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
CREATE INDEX standing_campaigns_form ON standing_campaigns (sender_id, template, language, columns, takes_until);
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

-- What Meta tells of accounts goes out as an event, too: clients of Meta's API hear of it as it came.

ALTER TABLE outbox
    DROP CONSTRAINT outbox_kind,
    ADD CONSTRAINT outbox_kind CHECK (kind IN (
        'message.pending', 'message.accepted', 'message.refused', 'message.unsure', 'message.suppressed',
        'message.cancelled', 'message.expired', 'reply.pending', 'reply.accepted', 'reply.refused', 'reply.unsure',
        'reply.cancelled', 'receipt.sent', 'receipt.delivered', 'receipt.read', 'receipt.played', 'receipt.failed',
        'inbound.message', 'conversation.started', 'conversation.merged', 'campaign.started', 'campaign.paused',
        'campaign.resumed', 'campaign.completed', 'campaign.cancelled', 'sender.added', 'sender.changed',
        'suppression.opted_out', 'suppression.opted_in', 'suppression.added', 'suppression.removed', 'account.news',
        'subscription.ping'));

CREATE FUNCTION tell_of_account() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    -- It concerns all senders of its account, and none of them more than the others.
    INSERT INTO outbox (subscription_id, kind, body)
    SELECT w.id, 'account.news', jsonb_build_object(
        'waba_id', n.waba_id, 'field', n.field, 'value', n.value, 'told_at', n.at)
    FROM became n
    JOIN subscriptions w ON is_wanted(w.is_enabled, w.kinds, NULL, 'account.news', NULL)
        AND (w.sender_ids IS NULL OR EXISTS (
            SELECT FROM senders s WHERE s.waba_id = n.waba_id AND s.id = ANY (w.sender_ids)))
    ORDER BY n.at NULLS FIRST, n.key;
    RETURN NULL;
END
$$;

CREATE TRIGGER tell_account AFTER INSERT ON account_news
    REFERENCING NEW TABLE AS became FOR EACH STATEMENT EXECUTE FUNCTION tell_of_account();

SELECT listen_in();
