-- What we remember of people beyond one campaign: Meta's wish not to send them marketing for a while, and how often
-- they could not be reached at all. A suppression may end by itself.

CREATE TABLE people (
    person_key text PRIMARY KEY,
    marketing_after timestamptz NOT NULL DEFAULT '-infinity',
    marketing_refusals smallint NOT NULL DEFAULT 0,
    undeliverable smallint NOT NULL DEFAULT 0,
    changed_at timestamptz NOT NULL DEFAULT ledger_now()
);
COMMENT ON COLUMN people.marketing_after IS 'no marketing before this time';
COMMENT ON COLUMN people.undeliverable IS 'how often in a row Meta could not deliver';

ALTER TABLE suppressions ADD COLUMN until timestamptz;
COMMENT ON COLUMN suppressions.until IS 'NULL: until somebody takes the person off the list';
