-- Senders, their templates, and what holds them.

-- name: add_sender
INSERT INTO senders (name, phone_number_id, phone, waba_id, portfolio_id, status, lifecycle, quality, tier_limit,
    tier_label, limit_scope, rate_milli_per_s, enabled, token_ref, origin)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
RETURNING *

-- name: all_senders
SELECT * FROM senders ORDER BY name

-- name: sender_by_name
SELECT * FROM senders WHERE name = $1

-- name: change_sender
-- Write a sender anew; the caller read it in the same transaction.
UPDATE senders
SET phone = $2, waba_id = $3, portfolio_id = $4, status = $5, lifecycle = $6, quality = $7, tier_limit = $8,
    tier_label = $9, limit_scope = $10, rate_milli_per_s = $11, enabled = $12, token_ref = $13, changed_at = ledger_now()
WHERE id = $1
RETURNING *

-- name: lock_sender
SELECT * FROM senders WHERE name = $1 FOR UPDATE

-- name: lock_sealed
SELECT * FROM senders WHERE token_ref LIKE 'sealed:%' ORDER BY name FOR UPDATE

-- name: poke_lanes_of_senders
-- Something about these senders changed: their lanes look again, also those whose turn is just ending. A lane that has
-- been due for long stays so.
UPDATE lanes l
SET poked = l.turn_id IS NOT NULL, next_at = least(l.next_at, ledger_now())
FROM campaigns c
WHERE c.id = l.campaign_id AND c.state = 'running' AND l.sender_id = ANY ($1::bigint[])
RETURNING l.id, l.generation

-- name: senders_of_account
SELECT id FROM senders WHERE waba_id = $1

-- name: holds_of_sender
SELECT scope, reason, until, detail, code, since
FROM holds
WHERE (until IS NULL OR until > ledger_now())
  AND ((scope, key) IN (('sender', $1::text), ('account', $2::text), ('portfolio', $3::text))
       OR (scope = 'template' AND starts_with(key, $2::text || '/')))
ORDER BY since

-- name: binding_holds
-- What stands in the way of one template from one sender; as the turn asks it.
SELECT reason, until, detail
FROM holds
WHERE (until IS NULL OR until > ledger_now())
  AND (scope, key) IN (
    ('sender', $1::text), ('account', $2::text), ('portfolio', $3::text), ('template', $4::text))

-- name: held_senders
-- Holds in force and whom they hold altogether; a sender stands here once for each.
SELECT s.id AS sender_id, h.reason, h.until, h.detail
FROM holds h
JOIN senders s ON (h.scope, h.key) IN (
    ('sender', s.id::text), ('account', s.waba_id), ('portfolio', coalesce(s.portfolio_id, s.id::text)))
WHERE h.until IS NULL OR h.until > ledger_now()

-- name: lift_holds
DELETE FROM holds
WHERE (scope, key) IN (('sender', $1::text), ('account', $2::text), ('portfolio', $3::text))
   OR (scope = 'template' AND starts_with(key, $2::text || '/'))
RETURNING scope, reason, until, detail

-- name: put_template
INSERT INTO templates (waba_id, name, language, status, category, body)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (waba_id, name, language) DO UPDATE
SET status = excluded.status, category = excluded.category, body = excluded.body, synced_at = ledger_now()

-- name: forget_other_templates
-- What the account no longer lists is gone.
DELETE FROM templates t
WHERE t.waba_id = $1
  AND NOT EXISTS (SELECT FROM unnest($2::text[], $3::text[]) AS k (name, language)
                  WHERE k.name = t.name AND k.language = t.language)

-- name: lift_template_holds
-- A fresh look at the account's templates replaces what an answer of Meta told us about them.
DELETE FROM holds WHERE scope = 'template' AND starts_with(key, $1 || '/')

-- name: all_templates
SELECT waba_id, body, synced_at FROM templates ORDER BY waba_id, name, language

-- name: template
SELECT body FROM templates WHERE waba_id = $1 AND name = $2 AND language = $3
