-- What Meta reports after it has taken a message.
--
-- One row per attempt, apart from the message: receipts come while a turn still has the message, and long after. Each
-- moment is kept as the earliest that was reported, so that any order and any repetition ends in the same row; `state` is
-- what dispatcher/domain/receipt.py reads off the moments.

CREATE TABLE receipts (
    campaign_id bigint NOT NULL,
    message_id bigint NOT NULL,
    attempt smallint NOT NULL,
    wamid text NOT NULL,
    sent_at timestamptz,
    delivered_at timestamptz,
    read_at timestamptz,
    played_at timestamptz,
    failed_at timestamptz,
    code int,
    detail text,
    price_category text,
    is_billable boolean,
    is_followed boolean NOT NULL DEFAULT false,
    state text NOT NULL GENERATED ALWAYS AS (CASE
        WHEN played_at IS NOT NULL THEN 'played'
        WHEN read_at IS NOT NULL THEN 'read'
        WHEN delivered_at IS NOT NULL THEN 'delivered'
        WHEN failed_at IS NOT NULL THEN 'failed'
        ELSE 'sent' END) STORED,
    PRIMARY KEY (campaign_id, message_id, attempt),
    CONSTRAINT receipts_report_something CHECK (
        coalesce(sent_at, delivered_at, read_at, played_at, failed_at) IS NOT NULL)
) WITH (fillfactor = 70);
COMMENT ON COLUMN receipts.is_followed IS 'whether the consequences of a failure have been drawn';

-- why hash: Meta's id is long, random and compared for equality. Messages themselves have no such index, which each of them
-- would have to pay for: a report without our token finds its message by way of the person.
CREATE INDEX attempts_wamid ON attempts USING hash (wamid) WHERE wamid IS NOT NULL;

-- Messages from people. One row each, whatever is said about it again.
CREATE TABLE inbound (
    wamid text PRIMARY KEY,
    sender_id bigint NOT NULL REFERENCES senders,
    person text,
    user_id text,
    name text,
    at timestamptz NOT NULL,
    kind text NOT NULL,
    context_wamid text,
    content jsonb NOT NULL,
    received_at timestamptz NOT NULL DEFAULT ledger_now()
);
COMMENT ON COLUMN inbound.person IS 'E.164 with the plus sign; NULL where only a user id is known';
CREATE INDEX inbound_of_person ON inbound (sender_id, person, at);

-- Everything else that webhooks tell about accounts, once per piece of news.
CREATE TABLE account_news (
    key text PRIMARY KEY,
    waba_id text NOT NULL,
    field text NOT NULL,
    value jsonb NOT NULL,
    at timestamptz,
    received_at timestamptz NOT NULL DEFAULT ledger_now()
);
COMMENT ON COLUMN account_news.key IS 'hash over account, field, value and time: repetitions are dropped';
