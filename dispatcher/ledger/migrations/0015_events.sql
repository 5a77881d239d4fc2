-- Events that go out: who wants to hear what (subscriptions), what waits for them (the outbox), how delivery stands.
--
-- Triggers write the outbox, in the transaction of the change they tell of, whichever statement makes it. A trigger costs
-- even where it finds nobody who wants to hear; so all of them are disabled but those of families that an enabled
-- subscription has chosen, and `listen_in` brings them in line with every order that changes subscriptions.
-- A statement fires the triggers of the table that it names. Messages and receipts are changed by way of the whole and of
-- single partitions, so both have them, and a new partition gets them when it is attached.
--
-- Order. Whoever changes a row waits for the one that changed it before, and only then takes the next id: so of one
-- message (conversation, campaign, sender) a later event has a greater id, and is never visible without the earlier ones.
-- Between different rows a smaller id may become visible later than a greater one; so what is to be delivered is always
-- the smallest that is there, and nothing remembers how far it has come.

CREATE TABLE subscriptions (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    url text NOT NULL,
    kinds text[] NOT NULL CHECK (cardinality(kinds) > 0),
    sender_ids bigint[],
    format text NOT NULL CONSTRAINT subscriptions_format CHECK (format IN ('events', 'meta')),
    secret_ref text NOT NULL,
    former_secret_ref text,
    former_secret_until timestamptz,
    is_enabled boolean NOT NULL DEFAULT true,
    stopped text CONSTRAINT subscriptions_stopped CHECK (stopped IN ('by_order', 'gone', 'too_many')),
    created_at timestamptz NOT NULL DEFAULT ledger_now(),
    changed_at timestamptz NOT NULL DEFAULT ledger_now(),
    CHECK (is_enabled = (stopped IS NULL))
);
COMMENT ON COLUMN subscriptions.kinds IS 'kinds such as message.accepted, families such as message.*, or *';
COMMENT ON COLUMN subscriptions.sender_ids IS 'only what concerns one of these; NULL: whatever it concerns';
COMMENT ON COLUMN subscriptions.secret_ref IS 'sealed: and the secret that signs, encrypted with a key from the environment';

-- One row per subscription, written with every batch; apart from what triggers read.
CREATE TABLE deliveries (
    subscription_id bigint PRIMARY KEY REFERENCES subscriptions ON DELETE CASCADE,
    turn_id bigint,
    owner text,
    lease_until timestamptz,
    next_at timestamptz NOT NULL DEFAULT '-infinity',
    failing_since timestamptz,
    failures int NOT NULL DEFAULT 0,
    last_error text,
    delivered_at timestamptz,
    CHECK ((turn_id IS NULL) = (lease_until IS NULL)),
    CHECK ((failing_since IS NULL) = (failures = 0))
) WITH (fillfactor = 50);
COMMENT ON COLUMN deliveries.turn_id IS 'who delivers just now; numbered together with the turns of lanes';
COMMENT ON COLUMN deliveries.failures IS 'turns in a row that ended with a failure';

-- why no reference to subscriptions: it would be looked up for each event; upkeep removes what belongs to none.
CREATE TABLE outbox (
    subscription_id bigint NOT NULL,
    id bigint GENERATED ALWAYS AS IDENTITY,
    kind text NOT NULL CONSTRAINT outbox_kind CHECK (kind IN (
        'message.pending', 'message.accepted', 'message.refused', 'message.unsure', 'message.suppressed',
        'message.cancelled', 'message.expired', 'reply.pending', 'reply.accepted', 'reply.refused', 'reply.unsure',
        'reply.cancelled', 'receipt.sent', 'receipt.delivered', 'receipt.read', 'receipt.played', 'receipt.failed',
        'inbound.message', 'conversation.started', 'conversation.merged', 'campaign.started', 'campaign.paused',
        'campaign.resumed', 'campaign.completed', 'campaign.cancelled', 'sender.added', 'sender.changed',
        'suppression.opted_out', 'suppression.opted_in', 'suppression.added', 'suppression.removed',
        'subscription.ping')),
    at timestamptz NOT NULL DEFAULT ledger_now(),
    body jsonb NOT NULL,
    queued_at timestamptz NOT NULL DEFAULT ledger_now(),
    PRIMARY KEY (subscription_id, id)
) WITH (
    -- why: as with the inbox, every row is deleted soon, and whoever looks for the first walks over those not yet cleared.
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_insert_threshold = -1,
    vacuum_truncate = false
);
COMMENT ON COLUMN outbox.at IS 'when it became true';
COMMENT ON COLUMN outbox.queued_at IS 'the same, or when an operator had it replayed';

-- What nobody took within the time for which it is tried. Replayed under the id that it had.
CREATE TABLE dead_events (
    subscription_id bigint NOT NULL,
    id bigint NOT NULL,
    kind text NOT NULL,
    at timestamptz NOT NULL,
    body jsonb NOT NULL,
    died_at timestamptz NOT NULL DEFAULT ledger_now(),
    error text NOT NULL,
    PRIMARY KEY (subscription_id, id)
);
CREATE INDEX dead_events_old ON dead_events (died_at);

ALTER TABLE api_keys
    DROP CONSTRAINT api_keys_scopes,
    ADD CONSTRAINT api_keys_scopes CHECK (scopes <@ ARRAY[
        'read', 'campaigns:write', 'messages:write', 'replies:write', 'senders:admin', 'suppressions:write',
        'operations:write', 'events:admin', 'keys:admin']);

-- What triggers do ------------------------------------------------------------------------------------------------------

CREATE FUNCTION is_wanted(is_enabled boolean, kinds text[], sender_ids bigint[], kind text, sender_id bigint)
RETURNS boolean
LANGUAGE sql IMMUTABLE
RETURN is_enabled AND kinds && ARRAY['*', split_part(kind, '.', 1) || '.*', kind]
    AND (sender_ids IS NULL OR coalesce(sender_id = ANY (sender_ids), false));
COMMENT ON FUNCTION is_wanted IS 'whether a subscription wants an event; sender_id NULL: it concerns none';

CREATE FUNCTION tell(kind text, sender_id bigint, body jsonb) RETURNS void
LANGUAGE sql
AS $$
    INSERT INTO outbox (subscription_id, kind, body)
    SELECT s.id, tell.kind, tell.body
    FROM subscriptions s
    WHERE is_wanted(s.is_enabled, s.kinds, s.sender_ids, tell.kind, tell.sender_id)
$$;
COMMENT ON FUNCTION tell IS 'write one event down for whoever wants it';

-- why EXECUTE, in the two for tables whose statements change one row or five hundred: a plan that is kept from the one is
-- quadratic for the other.

CREATE FUNCTION tell_of_messages() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    -- why first: half of all changes are claims, of which nobody is told.
    IF NOT EXISTS (SELECT FROM became WHERE state <> 'claimed') THEN
        RETURN NULL;
    END IF;
    EXECUTE $told$
        INSERT INTO outbox (subscription_id, kind, body)
        SELECT w.id, 'message.' || n.state, jsonb_build_object(
            'campaign_id', n.campaign_id, 'message_id', n.id, 'person', n.person, 'sender', s.name, 'state', n.state,
            'was', o.state, 'attempt', n.attempt, 'wamid', n.wamid, 'reason', n.reason, 'code', n.code,
            'detail', n.detail, 'posted_at', n.posted_at)
        FROM became n
        JOIN was o ON o.campaign_id = n.campaign_id AND o.id = n.id
        LEFT JOIN senders s ON s.id = n.sender_id
        JOIN subscriptions w
            ON is_wanted(w.is_enabled, w.kinds, w.sender_ids, 'message.' || n.state, n.sender_id)
        WHERE n.state <> o.state AND n.state <> 'claimed' AND NOT (n.state = 'pending' AND o.state = 'claimed')
        ORDER BY n.campaign_id, n.id
    $told$;
    RETURN NULL;
END
$$;

CREATE FUNCTION tell_of_receipts() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    -- A moment is told once, when it is first known; a later report that moves it is not.
    -- why by name: what is planned anew each time shall not look at all partitions of messages.
    EXECUTE format($told$
        INSERT INTO outbox (subscription_id, kind, body)
        SELECT w.id, news.kind, jsonb_build_object(
            'campaign_id', nullif(n.campaign_id, 0), 'message_id', CASE WHEN n.campaign_id <> 0 THEN n.message_id END,
            'reply_id', CASE WHEN n.campaign_id = 0 THEN n.message_id END,
            'person', coalesce(m.person, c.person, c.user_id), 'sender', s.name, 'attempt', n.attempt, 'wamid', n.wamid,
            'state', n.state, 'reported_at', news.moment, 'code', n.code, 'detail', n.detail,
            'price_category', n.price_category, 'is_billable', n.is_billable)
        FROM became n
        LEFT JOIN %s ON o.campaign_id = n.campaign_id AND o.message_id = n.message_id AND o.attempt = n.attempt
        CROSS JOIN LATERAL (VALUES
            (1, 'receipt.sent', n.sent_at, o.sent_at), (2, 'receipt.delivered', n.delivered_at, o.delivered_at),
            (3, 'receipt.read', n.read_at, o.read_at), (4, 'receipt.played', n.played_at, o.played_at),
            (5, 'receipt.failed', n.failed_at, o.failed_at)) AS news (rank, kind, moment, moment_before)
        LEFT JOIN %I m ON m.campaign_id = n.campaign_id AND m.id = n.message_id
        LEFT JOIN attempts a
            ON a.campaign_id = n.campaign_id AND a.message_id = n.message_id AND a.attempt = n.attempt
        LEFT JOIN replies r ON n.campaign_id = 0 AND r.id = n.message_id
        LEFT JOIN conversations c ON c.id = r.conversation_id
        LEFT JOIN senders s ON s.id = coalesce(a.sender_id, m.sender_id, r.sender_id)
        JOIN subscriptions w ON is_wanted(w.is_enabled, w.kinds, w.sender_ids, news.kind, s.id)
        WHERE news.moment IS NOT NULL AND news.moment_before IS NULL
        ORDER BY n.campaign_id, n.message_id, n.attempt, news.rank
    $told$,
        CASE TG_OP WHEN 'UPDATE' THEN 'was o' ELSE '(SELECT * FROM became WHERE false) o' END,
        replace(TG_TABLE_NAME, 'receipts', 'messages'));
    RETURN NULL;
END
$$;

CREATE FUNCTION tell_of_reply() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM tell('reply.' || NEW.state, NEW.sender_id, jsonb_build_object(
        'reply_id', NEW.id, 'conversation_id', NEW.conversation_id, 'person', coalesce(c.person, c.user_id),
        'sender', s.name, 'state', NEW.state, 'was', OLD.state, 'attempt', NEW.attempt, 'wamid', NEW.wamid,
        'reason', NEW.reason, 'code', NEW.code, 'detail', NEW.detail, 'posted_at', NEW.posted_at))
    FROM conversations c, senders s
    WHERE c.id = NEW.conversation_id AND s.id = NEW.sender_id;
    RETURN NULL;
END
$$;

CREATE FUNCTION tell_of_inbound() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO outbox (subscription_id, kind, body)
    SELECT w.id, 'inbound.message', jsonb_build_object(
        'conversation_id', n.conversation_id, 'sender', s.name, 'person', n.person, 'user_id', n.user_id,
        'name', n.name, 'wamid', n.wamid, 'type', n.kind, 'context_wamid', n.context_wamid, 'content', n.content,
        'said_at', n.at)
    FROM became n
    JOIN senders s ON s.id = n.sender_id
    JOIN subscriptions w ON is_wanted(w.is_enabled, w.kinds, w.sender_ids, 'inbound.message', n.sender_id)
    ORDER BY n.at, n.wamid;
    RETURN NULL;
END
$$;

CREATE FUNCTION tell_of_conversation() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM tell(CASE TG_OP WHEN 'INSERT' THEN 'conversation.started' ELSE 'conversation.merged' END, NEW.sender_id,
        jsonb_build_object(
            'conversation_id', NEW.id, 'sender', s.name, 'person', NEW.person, 'user_id', NEW.user_id,
            'name', NEW.name, 'merged_into', NEW.merged_into))
    FROM senders s
    WHERE s.id = NEW.sender_id;
    RETURN NULL;
END
$$;

CREATE FUNCTION tell_of_campaign() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM tell(
        CASE WHEN NEW.state <> 'running' THEN 'campaign.' || NEW.state
            WHEN OLD.state = 'draft' THEN 'campaign.started' ELSE 'campaign.resumed' END,
        NULL,
        jsonb_build_object(
            'campaign_id', NEW.id, 'name', NEW.name, 'state', NEW.state, 'was', OLD.state,
            'paused_because', nullif(NEW.paused_because, ''), 'metadata', NEW.metadata));
    RETURN NULL;
END
$$;

CREATE FUNCTION sender_facts(s senders) RETURNS jsonb
LANGUAGE sql IMMUTABLE
RETURN jsonb_build_object(
    'sender', s.name, 'phone_number_id', s.phone_number_id, 'phone', s.phone, 'waba_id', s.waba_id,
    'portfolio_id', s.portfolio_id, 'status', s.status, 'lifecycle', s.lifecycle, 'quality', s.quality,
    'tier', s.tier_limit, 'tier_label', s.tier_label, 'limit_scope', s.limit_scope,
    'rate_per_s', s.rate_milli_per_s / 1000.0, 'enabled', s.enabled);
COMMENT ON FUNCTION sender_facts IS 'what is told of a sender: not where its token is';

CREATE FUNCTION tell_of_sender() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    facts jsonb := sender_facts(NEW);
    facts_before jsonb;
BEGIN
    IF TG_OP = 'INSERT' THEN
        PERFORM tell('sender.added', NEW.id, facts);
        RETURN NULL;
    END IF;
    facts_before := sender_facts(OLD);
    IF facts <> facts_before THEN
        PERFORM tell('sender.changed', NEW.id, facts || jsonb_build_object('was', (
            SELECT jsonb_object_agg(key, value) FROM jsonb_each(facts_before) WHERE value <> facts -> key)));
    END IF;
    RETURN NULL;
END
$$;

CREATE FUNCTION tell_of_suppression() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM tell('suppression.' || NEW.change, NULL, jsonb_build_object(
        'person', NEW.person, 'user_id', NEW.user_id, 'reason', NEW.reason, 'source', NEW.source, 'said_at', NEW.at));
    RETURN NULL;
END
$$;

-- The second part of a trigger's name is the family it tells of; `listen_in` reads it.
CREATE TRIGGER tell_reply AFTER UPDATE OF state ON replies FOR EACH ROW
    WHEN (OLD.state <> NEW.state AND NEW.state <> 'claimed' AND NOT (NEW.state = 'pending' AND OLD.state = 'claimed'))
    EXECUTE FUNCTION tell_of_reply();
CREATE TRIGGER tell_inbound AFTER INSERT ON inbound
    REFERENCING NEW TABLE AS became FOR EACH STATEMENT EXECUTE FUNCTION tell_of_inbound();
CREATE TRIGGER tell_conversation_first AFTER INSERT ON conversations FOR EACH ROW
    EXECUTE FUNCTION tell_of_conversation();
CREATE TRIGGER tell_conversation_last AFTER UPDATE OF merged_into ON conversations FOR EACH ROW
    WHEN (OLD.merged_into IS NULL AND NEW.merged_into IS NOT NULL)
    EXECUTE FUNCTION tell_of_conversation();
CREATE TRIGGER tell_campaign AFTER UPDATE OF state ON campaigns FOR EACH ROW
    WHEN (OLD.state <> NEW.state AND NEW.kind = 'audience')
    EXECUTE FUNCTION tell_of_campaign();
CREATE TRIGGER tell_sender AFTER INSERT OR UPDATE ON senders FOR EACH ROW EXECUTE FUNCTION tell_of_sender();
CREATE TRIGGER tell_suppression AFTER INSERT ON suppression_history FOR EACH ROW EXECUTE FUNCTION tell_of_suppression();

CREATE VIEW tellers AS
SELECT t.tgrelid::regclass AS relation, t.tgname AS name, t.tgenabled <> 'D' AS is_on, EXISTS (
    SELECT FROM subscriptions s, unnest(s.kinds) AS kind
    WHERE s.is_enabled AND (kind = '*' OR split_part(kind, '.', 1) = split_part(t.tgname, '_', 2))) AS is_wanted
FROM pg_trigger t
WHERE t.tgname LIKE 'tell\_%' AND t.tgparentid = 0 AND NOT t.tgisinternal;
COMMENT ON VIEW tellers IS 'triggers that write events down, and whether somebody wants what they tell';

-- why so short a time: everybody who wants to write to the table waits behind us; whoever ordered tries again.
CREATE FUNCTION listen_in(these regclass[] DEFAULT NULL) RETURNS void
LANGUAGE plpgsql SET lock_timeout = '200ms' AS $$
DECLARE
    teller record;
BEGIN
    -- In the order in which everybody locks: receipts before campaigns before messages.
    FOR teller IN
        SELECT * FROM tellers WHERE is_on <> is_wanted AND (these IS NULL OR relation = ANY (these))
        ORDER BY array_position(ARRAY['receipts', 'campaigns', 'messages'], split_part(relation::text, '_', 1)) NULLS LAST,
            relation::text, name
    LOOP
        EXECUTE format('ALTER TABLE %s %s TRIGGER %I', teller.relation,
            CASE WHEN teller.is_wanted THEN 'ENABLE' ELSE 'DISABLE' END, teller.name);
    END LOOP;
END
$$;
COMMENT ON FUNCTION listen_in IS
    'enable the triggers that somebody wants, disable the others; each waits until nobody is writing to its table';

-- Triggers of messages and receipts, of the whole and of each partition.
CREATE FUNCTION add_tellers(place text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE TRIGGER tell_message AFTER UPDATE ON messages%s
        REFERENCING OLD TABLE AS was NEW TABLE AS became FOR EACH STATEMENT EXECUTE FUNCTION tell_of_messages()', place);
    EXECUTE format('CREATE TRIGGER tell_receipt_first AFTER INSERT ON receipts%s
        REFERENCING NEW TABLE AS became FOR EACH STATEMENT EXECUTE FUNCTION tell_of_receipts()', place);
    EXECUTE format('CREATE TRIGGER tell_receipt_more AFTER UPDATE ON receipts%s
        REFERENCING OLD TABLE AS was NEW TABLE AS became FOR EACH STATEMENT EXECUTE FUNCTION tell_of_receipts()', place);
    PERFORM listen_in(ARRAY['messages' || place, 'receipts' || place]::regclass[]);
END
$$;
COMMENT ON FUNCTION add_tellers IS 'place: nothing for the whole, or an underscore and the number of a partition';

SELECT add_tellers('');
SELECT add_tellers('_' || first_id) FROM partitions WHERE dropped_at IS NULL;
SELECT listen_in();

CREATE OR REPLACE FUNCTION attach_partition(first bigint, beyond bigint) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    -- why first: whoever orders a subscription meanwhile would not see the new tables.
    LOCK TABLE subscriptions IN SHARE MODE;
    -- Each row is written twice or three times within a campaign; vacuum comes often enough to keep room for that.
    EXECUTE format(
        'ALTER TABLE messages_%s SET (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05)', first);
    EXECUTE format(
        'ALTER TABLE receipts_%s SET (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05)', first);
    EXECUTE format('ALTER TABLE messages ATTACH PARTITION messages_%s FOR VALUES FROM (%s) TO (%s)', first, first, beyond);
    EXECUTE format('ALTER TABLE receipts ATTACH PARTITION receipts_%s FOR VALUES FROM (%s) TO (%s)', first, first, beyond);
    PERFORM add_tellers('_' || first);
    INSERT INTO partitions (first_id, end_id) VALUES (first, beyond);
END
$$;
