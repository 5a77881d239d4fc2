-- Slow down: Meta has answered that this sender sends too fast.
--
-- KEYS  1 sender hash
-- ARGV  1 now_ms or ''  2 when the refused message was granted, ms, or ''  3 cause, shown to people  4 idle_ms
-- Returns 1 when the rate was halved, 0 when this answer belongs to an incident already known, or to no known sender.
--
-- Guarantees: one halving per incident: answers within INCIDENT_MS of the last one, and answers to what was granted
-- before it, change nothing. The bucket is left owing a second of the new rate, so that the sender pauses at once and
-- Meta's own count falls below its limit. From there the rate climbs back by itself (see common.lua).

local now, granted_at, cause = clock(ARGV[1]), tonumber(ARGV[2]), ARGV[3]
local sender = KEYS[1]
local INCIDENT_MS = 2000

local s = redis.call('HMGET', sender, 'rate', 'burst', 'level', 'at', 'share', 'slowed_at')
if not s[1] then return 0 end
local rate, share, slowed_at = tonumber(s[1]), tonumber(s[5]), tonumber(s[6])
if share then
  local since = now - slowed_at
  if since >= 0 and since < INCIDENT_MS or granted_at and granted_at <= slowed_at then return 0 end
end
local level = refill(tonumber(s[3]), tonumber(s[4]), now, rate, tonumber(s[2]), share, slowed_at)
share = math.max(1, math.floor(share_at(share, slowed_at, now) / 2))
level = math.min(level, -DEBT_MS * lowered(rate, share))
redis.call('HSET', sender, 'level', level, 'at', now, 'share', share, 'slowed_at', now, 'slow_cause', cause)
redis.call('PEXPIRE', sender, ARGV[4])
return 1
