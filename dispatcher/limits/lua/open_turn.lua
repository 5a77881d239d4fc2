-- Open a turn: read the epoch, lay out the list of what will be handed over.
--
-- KEYS  1 pool hash  2 sender hash  3 handed messages of the turn  4 the turn's mark of being reaped
-- ARGV  1 lifetime of that list, ms
-- Returns {1, epoch}; {0} the pool, or this sender in it, must be rebuilt first; {-1} the turn was reaped already.
--
-- Guarantees: no turn begins on a memory that another server process has left. The list is a string (appending to one
-- costs a tenth of what a set takes) and begins with '@' and the epoch, so that reap can tell "nothing handed" from
-- "memory lost" and from "memory of another epoch". Opening a turn twice keeps what it was handed.

local pool, sender, handed, reaped = KEYS[1], KEYS[2], KEYS[3], KEYS[4]

if redis.call('EXISTS', reaped) == 1 then return {-1} end
local epoch = is_own_memory(pool) and redis.call('HGET', pool, 'epoch')
if not epoch or redis.call('HGET', sender, 'counted') ~= epoch then return {0} end
redis.call('SET', handed, '@' .. epoch, 'NX')
redis.call('PEXPIRE', handed, ARGV[1])
return {1, epoch}
