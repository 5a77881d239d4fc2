-- Open a turn: read the epoch, lay out the turn's empty handed set.
--
-- KEYS  1 pool hash  2 sender hash  3 handed set of the turn  4 the turn's mark of being reaped
-- ARGV  1 lifetime of the handed set, ms
-- Returns {1, epoch}; {0} the pool, or this sender in it, must be rebuilt first; {-1} the turn was reaped already.
--
-- Guarantees: the set holds the member '0', which is no message, so that "nothing handed" and "memory lost" differ.

if redis.call('EXISTS', KEYS[4]) == 1 then return {-1} end
local epoch = redis.call('HGET', KEYS[1], 'epoch')
if not epoch or redis.call('HGET', KEYS[2], 'counted') ~= epoch then return {0} end
redis.call('SADD', KEYS[3], '0')
redis.call('PEXPIRE', KEYS[3], ARGV[1])
return {1, epoch}
