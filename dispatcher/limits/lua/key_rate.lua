-- Key rate: count one call of an API key.
--
-- KEYS  1 the key's bucket
-- ARGV  1 now_ms or ''  2 calls per second, in thousandths  3 burst in calls  4 idle_ms
-- Returns 0 when the call may go on, otherwise ms until the next one may.
--
-- Guarantees: never more than the burst and what the rate has refilled since, over all processes. A refused call costs
-- nothing. A memory that is lost begins with a full bucket: it guards us from a caller's mistake, not Meta from us.

local now, rate, burst = clock(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local was = redis.call('HMGET', KEYS[1], 'level', 'at')
local level = burst * MESSAGE
if was[1] then level = refill(tonumber(was[1]), tonumber(was[2]), now, rate, burst) end
if level < MESSAGE then return math.ceil((MESSAGE - level) / rate) end
redis.call('HSET', KEYS[1], 'level', level - MESSAGE, 'at', now)
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return 0
