-- Events in Meta's form: what Meta tells of accounts goes out, too.

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
