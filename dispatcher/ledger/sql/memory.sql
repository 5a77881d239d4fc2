-- What is remembered beyond one message: holds on senders, templates, accounts and portfolios, and what Meta wants us to
-- know of a person. Every statement may be repeated; what grows with repetition says how.

-- name: put_hold
-- Answers of one incident prolong its hold to the latest end among them; no end at all wins over any.
-- A hold that comes back within a day of its end lasts twice as long as the last time, up to $7.
INSERT INTO holds AS h (scope, key, reason, until, detail, code)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (scope, key, reason) DO UPDATE
SET (times, until) = (
        SELECT counted.times, CASE WHEN h.until IS NULL OR excluded.until IS NULL THEN NULL
            ELSE greatest(h.until, ledger_now() + least(
                $7::interval, (excluded.until - ledger_now()) * power(2, counted.times - 1))) END
        FROM (SELECT CASE
            WHEN h.until > ledger_now() THEN h.times
            WHEN h.until > ledger_now() - interval '1 day' THEN least(h.times + 1, 20)
            ELSE 1 END AS times) AS counted),
    detail = CASE WHEN h.until IS NULL AND excluded.until IS NOT NULL THEN h.detail ELSE excluded.detail END,
    code = CASE WHEN h.until IS NULL AND excluded.until IS NOT NULL THEN h.code ELSE excluded.code END,
    since = CASE WHEN h.until <= ledger_now() THEN ledger_now() ELSE h.since END
RETURNING until

-- name: senders_in_scope
-- Whom a hold holds altogether; a template's holds nobody's other templates.
SELECT *
FROM senders
WHERE CASE $1
    WHEN 'sender' THEN id::text = $2
    WHEN 'account' THEN waba_id = $2
    WHEN 'portfolio' THEN coalesce(portfolio_id, id::text) = $2
    ELSE false
END

-- name: cool_down
-- Meta does not want this person to get marketing now. $2: how long the first time, doubled each time up to $3;
-- a month after the last time it begins anew.
INSERT INTO people AS p (person_key, marketing_after, marketing_refusals)
VALUES ($1, ledger_now() + $2::interval, 1)
ON CONFLICT (person_key) DO UPDATE
SET marketing_refusals = CASE
        WHEN p.marketing_after < ledger_now() - interval '30 days' THEN 1
        ELSE least(p.marketing_refusals + 1, 30) END,
    marketing_after = ledger_now() + CASE
        WHEN p.marketing_after < ledger_now() - interval '30 days' THEN $2::interval
        ELSE least($3::interval, $2::interval * power(2, least(p.marketing_refusals, 20))) END,
    changed_at = ledger_now()
RETURNING marketing_after

-- name: count_undeliverable
INSERT INTO people AS p (person_key, undeliverable)
VALUES ($1, 1)
ON CONFLICT (person_key) DO UPDATE
SET undeliverable = least(p.undeliverable + 1, 30), changed_at = ledger_now()
RETURNING undeliverable

-- name: times_refused
-- How often earlier attempts of a message were refused with this code.
SELECT count(*) FROM attempts WHERE campaign_id = $1 AND message_id = $2 AND code = $3
