-- Where this ledger lives. A copy of it, or a backup that was brought back, finds itself elsewhere and sends nothing
-- until an operator has confirmed the new place.
--
-- A place is what tells one PostgreSQL database from another, part by part, as far as the role may read it:
-- dispatcher/domain/fence.py explains each part. Only parts that are known on both sides are compared.

ALTER TABLE instance
    ADD COLUMN place jsonb,
    ADD COLUMN epoch int NOT NULL DEFAULT 1,
    ADD COLUMN confirmed_at timestamptz,
    ADD COLUMN pulse bigint NOT NULL DEFAULT 0,
    ADD COLUMN remembered bigint NOT NULL DEFAULT 0;
COMMENT ON COLUMN instance.place IS 'the confirmed place; NULL until the first process opens the ledger';
COMMENT ON COLUMN instance.epoch IS 'one life of this ledger; confirming another place begins the next';
COMMENT ON COLUMN instance.pulse IS 'how far the ledger has come: upkeep counts it up every few seconds and tells Redis';
COMMENT ON COLUMN instance.remembered IS 'the pulse that Redis remembers, where that is more than the ledger''s own';

CREATE FUNCTION ledger_place() RETURNS jsonb
LANGUAGE plpgsql STABLE AS $$
DECLARE
    place jsonb := jsonb_build_object(
        'database', (SELECT oid::text FROM pg_database WHERE datname = current_database()));
BEGIN
    -- why two blocks: a managed server may refuse one of the functions, and the other part is still worth knowing.
    BEGIN
        place := place || jsonb_build_object('system', (SELECT system_identifier::text FROM pg_control_system()));
    EXCEPTION WHEN insufficient_privilege OR undefined_function OR feature_not_supported THEN
        NULL;
    END;
    BEGIN
        -- why not pg_control_checkpoint(): after a promotion it tells the old timeline until the next checkpoint.
        place := place || jsonb_build_object(
            'timeline', (('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int)::text);
    EXCEPTION WHEN insufficient_privilege OR undefined_function OR feature_not_supported
        OR object_not_in_prerequisite_state THEN
        NULL;
    END;
    IF pg_has_role('pg_read_all_settings', 'USAGE') THEN
        place := place || jsonb_build_object('directory', current_setting('data_directory'));
    END IF;
    RETURN place;
END
$$;
COMMENT ON FUNCTION ledger_place IS 'where the ledger is now; about 0.1 ms on a busy machine';

CREATE FUNCTION ledger_moved(redis_remembers bigint DEFAULT 0) RETURNS text[]
LANGUAGE sql STABLE
RETURN ARRAY(
    SELECT confirmed.key
    FROM instance
    CROSS JOIN jsonb_each_text(place) AS confirmed
    JOIN jsonb_each_text(ledger_place()) AS here ON here.key = confirmed.key
    WHERE here.value <> confirmed.value
    UNION ALL
    SELECT 'history' FROM instance WHERE greatest(remembered, redis_remembers) > pulse
    ORDER BY 1);
COMMENT ON FUNCTION ledger_moved IS 'the parts of the place that differ; empty when all is well';

ALTER TABLE campaigns ADD COLUMN paused_because text NOT NULL DEFAULT '';
COMMENT ON COLUMN campaigns.paused_because IS 'why a guard paused it; empty where an operator did';

ALTER TABLE holds
    DROP CONSTRAINT holds_reason,
    ADD CONSTRAINT holds_reason CHECK (reason IN (
        'not_started', 'paused', 'fenced', 'queued', 'sender_blocked', 'sender_disabled', 'sender_held',
        'template_blocked', 'account_fault', 'tier_exhausted', 'rate', 'fair_share', 'pair', 'person_cooldown',
        'retry_later', 'limits_unavailable', 'channel_unavailable', 'worker_lost'));

ALTER TABLE lanes
    DROP CONSTRAINT lanes_hold_reason,
    ADD CONSTRAINT lanes_hold_reason CHECK (hold_reason IN (
        'not_started', 'paused', 'fenced', 'queued', 'sender_blocked', 'sender_disabled', 'sender_held',
        'template_blocked', 'account_fault', 'tier_exhausted', 'rate', 'fair_share', 'pair', 'person_cooldown',
        'retry_later', 'limits_unavailable', 'channel_unavailable', 'worker_lost'));
