-- Messages and their receipts lie in partitions, so that those of old campaigns are dropped and not deleted.
--
-- Campaigns are numbered as they come, so a range of their numbers is a stretch of time. A partition is such a range: the
-- two tables messages_<first> and receipts_<first>. dispatcher/ledger/partitions.py says when the next begins.
-- Partition 0 has the receipts of replies, which stand under campaign 0, and no messages.
-- What exists already becomes the partition of the first campaigns, as it is: it is read once, and nothing is copied but the
-- receipts of replies.

CREATE TABLE partitions (
    first_id bigint PRIMARY KEY,
    end_id bigint NOT NULL CHECK (end_id > first_id),
    dropped_at timestamptz
);
COMMENT ON TABLE partitions IS 'ranges of campaigns whose messages and receipts lie together; no two overlap';
COMMENT ON COLUMN partitions.end_id IS 'the first campaign after it';
COMMENT ON COLUMN partitions.dropped_at IS 'its tables are gone; the row goes when what else its campaigns had is gone, too';

-- The names stay those of the whole.
ALTER TABLE messages RENAME TO messages_1;
ALTER INDEX messages_pkey RENAME TO messages_1_pkey;
ALTER INDEX messages_campaign_id_person_key_key RENAME TO messages_1_person_key;
ALTER INDEX messages_pending RENAME TO messages_1_pending;
ALTER INDEX messages_unsure RENAME TO messages_1_unsure;
ALTER INDEX messages_posted RENAME TO messages_1_posted;
ALTER TABLE receipts RENAME TO receipts_1;
ALTER INDEX receipts_pkey RENAME TO receipts_1_pkey;

-- why a plain sequence: partitioned tables have identity columns only since PostgreSQL 17.
DO $$
DECLARE
    following bigint := (SELECT last_value + is_called::int FROM messages_id_seq);
BEGIN
    ALTER TABLE messages_1 ALTER id DROP IDENTITY;
    EXECUTE format('CREATE SEQUENCE messages_id_seq START %s', following);
    ALTER TABLE messages_1 ALTER id SET DEFAULT nextval('messages_id_seq');
END
$$;

CREATE TABLE messages (LIKE messages_1 INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING COMMENTS)
    PARTITION BY RANGE (campaign_id);
ALTER TABLE messages
    ADD PRIMARY KEY (campaign_id, id),
    ADD UNIQUE (campaign_id, person_key);
ALTER SEQUENCE messages_id_seq OWNED BY messages.id;
CREATE INDEX messages_pending ON messages (campaign_id, not_before, id) WHERE state = 'pending';
CREATE INDEX messages_unsure ON messages (campaign_id, id) WHERE state = 'unsure';
CREATE INDEX messages_posted ON messages USING brin (posted_at) WITH (pages_per_range = 32, autosummarize = on);

CREATE TABLE receipts (LIKE receipts_1 INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING GENERATED INCLUDING COMMENTS)
    PARTITION BY RANGE (campaign_id);
ALTER TABLE receipts ADD PRIMARY KEY (campaign_id, message_id, attempt);

CREATE FUNCTION add_partition(first bigint, beyond bigint) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    -- why not PARTITION OF: that would lock out everybody who asks for any message; to attach a table does not.
    EXECUTE format(
        'CREATE TABLE messages_%s (LIKE messages INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES)', first);
    EXECUTE format(
        'CREATE TABLE receipts_%s (LIKE receipts INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING GENERATED INCLUDING INDEXES)',
        first);
    PERFORM attach_partition(first, beyond);
END
$$;
COMMENT ON FUNCTION add_partition IS 'an empty partition of the campaigns from `first` to before `beyond`';

CREATE FUNCTION attach_partition(first bigint, beyond bigint) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    -- Each row is written twice or three times within a campaign; vacuum comes often enough to keep room for that.
    EXECUTE format(
        'ALTER TABLE messages_%s SET (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05)', first);
    EXECUTE format(
        'ALTER TABLE receipts_%s SET (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05)', first);
    EXECUTE format('ALTER TABLE messages ATTACH PARTITION messages_%s FOR VALUES FROM (%s) TO (%s)', first, first, beyond);
    EXECUTE format('ALTER TABLE receipts ATTACH PARTITION receipts_%s FOR VALUES FROM (%s) TO (%s)', first, first, beyond);
    INSERT INTO partitions (first_id, end_id) VALUES (first, beyond);
END
$$;
COMMENT ON FUNCTION attach_partition IS 'tables that exist become a partition';

SELECT add_partition(0, 1);
INSERT INTO receipts_0 (campaign_id, message_id, attempt, wamid, sent_at, delivered_at, read_at, played_at, failed_at, code,
    detail, price_category, is_billable, is_followed)
SELECT campaign_id, message_id, attempt, wamid, sent_at, delivered_at, read_at, played_at, failed_at, code, detail,
    price_category, is_billable, is_followed
FROM receipts_1
WHERE campaign_id = 0;
DELETE FROM receipts_1 WHERE campaign_id = 0;

-- A thousand numbers for what exists, or as many as it has; and the next thousand kept ready.
DO $$
DECLARE
    beyond bigint := (SELECT coalesce(max(id), 1) / 1000 * 1000 + 1001 FROM campaigns);
BEGIN
    PERFORM attach_partition(1, beyond);
    PERFORM add_partition(beyond, beyond + 1000);
END
$$;

-- Campaigns whose people are gone. What their reports need is kept, as it was proved from the messages.
ALTER TABLE campaigns ADD COLUMN archived_at timestamptz;
COMMENT ON COLUMN campaigns.archived_at IS 'when its messages, receipts and rejected rows were dropped; NULL: they are here';

CREATE TABLE archived_reports (
    campaign_id bigint PRIMARY KEY REFERENCES campaigns ON DELETE CASCADE,
    report jsonb NOT NULL
);
COMMENT ON COLUMN archived_reports.report IS 'counts, ends by cause, receipts, rejected rows, first and last post';

-- why: whoever looks for campaigns in which somebody may be left shall not read all there ever were.
CREATE INDEX campaigns_live ON campaigns (id) WHERE state IN ('draft', 'running', 'paused');
-- why: old news of accounts are removed, some at a time.
CREATE INDEX account_news_received ON account_news (received_at);
