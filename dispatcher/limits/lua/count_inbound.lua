-- Count inbound: messages that came in use up the same rate as those that go out.
--
-- KEYS  1 sender hash
-- ARGV  1 now_ms or ''  2 number of messages  3 idle_ms
-- Returns 1, or 0 when the sender is not known here.
--
-- Guarantees: the bucket may owe, but never more than comes in within DEBT_MS: a flood delays replies by so much.
-- The measured inbound rate, from which the reserve follows, tends to the true one whatever the size of the reports.
--
-- Source: Meta, "Throughput": inbound and outbound messages of all types count together; read 2026-09.

local now, messages = clock(ARGV[1]), tonumber(ARGV[2])
local sender = KEYS[1]

local s = redis.call('HMGET', sender, 'rate', 'burst', 'level', 'at', 'share', 'slowed_at', 'inbound', 'inbound_at')
if not s[1] then return 0 end
local rate, share, slowed_at = tonumber(s[1]), tonumber(s[5]), tonumber(s[6])
local inbound, measured_at = tonumber(s[7] or 0), tonumber(s[8] or now)
local level = refill(tonumber(s[3]), tonumber(s[4]), now, rate, tonumber(s[2]), share, slowed_at)
local deepest = -DEBT_MS * lowered(rate, share_at(share, slowed_at, now))
level = math.max(level - messages * MESSAGE, math.min(level, deepest))
inbound = math.floor(faded(inbound, measured_at, now) + messages * MESSAGE / (TAU_MS + math.max(now - measured_at, 0)))
redis.call('HSET', sender, 'level', level, 'at', now, 'inbound', inbound, 'inbound_at', now)
if slowed_at and slowed_at > now then redis.call('HSET', sender, 'slowed_at', now) end
redis.call('PEXPIRE', sender, ARGV[3])
return 1
