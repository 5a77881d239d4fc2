-- Open a turn: read the epoch, lay out the turn's empty handed set.
--
-- KEYS  1 pool hash  2 sender hash  3 handed set of the turn  4 the turn's mark of being reaped
-- ARGV  1 lifetime of the handed set, ms
-- Returns {1, epoch}; {0} the pool, or this sender in it, must be rebuilt first; {-1} the turn was reaped already.
--
-- Guarantees: no turn begins on a memory that another server process has left. The set holds the member '@' + epoch,
-- which is no message, so that reap can tell "nothing handed" from "memory lost" and from "memory of another epoch".

local pool, sender, handed, reaped = KEYS[1], KEYS[2], KEYS[3], KEYS[4]

if redis.call('EXISTS', reaped) == 1 then return {-1} end
local epoch = is_own_memory(pool) and redis.call('HGET', pool, 'epoch')
if not epoch or redis.call('HGET', sender, 'counted') ~= epoch then return {0} end
redis.call('SADD', handed, '@' .. epoch)
redis.call('PEXPIRE', handed, ARGV[1])
return {1, epoch}
