-- Usage: what is taken from a sender's buckets now. Changes nothing.
--
-- KEYS  1 pool hash  2 sender hash  3 reach by sender  4 reach by pool
-- ARGV  1 now_ms or ''
-- Returns {1, now_ms, people reached within the day, limit or -1, end_ms of the earliest token or -1,
--          rate in force in thousandths per second, whole messages in the bucket (below 0: owed),
--          hold reason or '', hold until_ms or -1, detail,
--          cause of a lowered rate or '', ms when it will be whole again or -1, reserve in messages,
--          inbound in thousandths per second}, or {0} when the pool, or this sender in it, must be rebuilt first.
--
-- Guarantees: a hold whose time has come is not reported. Under an unlimited tier nobody is counted.

local now = clock(ARGV[1])
local s = redis.call('HMGET', KEYS[2], 'counted', 'rate', 'burst', 'limit', 'scope',
  'hold', 'hold_until', 'hold_detail', 'level', 'at', 'share', 'slowed_at', 'slow_cause', 'reserve', 'inbound', 'inbound_at')
if not s[1] or redis.call('HGET', KEYS[1], 'epoch') ~= s[1] then return {0} end
local used, next_end, limit = 0, -1, tonumber(s[4])
if limit >= 0 then
  local scope = s[5] == 'portfolio' and KEYS[4] or KEYS[3]
  used = redis.call('ZCOUNT', scope, '(' .. string.format('%.0f', now), '+inf')
  if used > 0 then
    local first = string.format('%d', -used) -- counted from the end: expired tokens may still stand before it
    next_end = tonumber(redis.call('ZRANGE', scope, first, first, 'WITHSCORES')[2])
  end
end
local reason, hold_until, nominal, burst = s[6], tonumber(s[7]), tonumber(s[2]), tonumber(s[3])
if hold_until >= 0 and hold_until <= now then reason, hold_until = '', -1 end
local share, slowed_at = tonumber(s[11]), tonumber(s[12])
local level = refill(tonumber(s[9]), tonumber(s[10]), now, nominal, burst, share, slowed_at)
local rate, cause, whole_at = lowered(nominal, share_at(share, slowed_at, now)), '', -1
if rate < nominal then
  cause, whole_at = s[13], math.min(slowed_at, now) + (WHOLE - share) * STEP_MS
end
local inbound, measured_at = tonumber(s[15] or 0), tonumber(s[16] or now)
return {1, now, used, limit, next_end, rate, math.floor(level / MESSAGE), reason, hold_until, s[8], cause, whole_at,
  reserve_for(tonumber(s[14]), burst, rate, inbound, measured_at, now), math.floor(faded(inbound, measured_at, now))}
