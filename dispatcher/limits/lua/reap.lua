-- Reap a turn: bar it from any further grant, and tell what it had been granted.
--
-- KEYS  1 pool hash  2 handed messages of the turn  3 the turn's mark of being reaped  4 messages given back
-- ARGV  1 lifetime of the mark, ms
-- Returns {1, '@epoch id id …', {id given back, …}}, or {0} when nobody knows: the list is gone, or it belongs to another
--         memory than the pool's present one, and so may lack what was handed over last.
--
-- Guarantees: atomic against grant: an id is either in the answer or was never granted. Repeating it gives the same
-- answer while mark and memory live, because the mark *is* the renamed list; '?' is the mark of a list that was gone.

local pool, handed, reaped, returned = KEYS[1], KEYS[2], KEYS[3], KEYS[4]

if redis.call('EXISTS', handed) == 1 then
  redis.call('RENAME', handed, reaped)
elseif redis.call('EXISTS', reaped) == 0 then
  redis.call('SET', reaped, '?')
end
redis.call('PEXPIRE', reaped, ARGV[1])
redis.call('PEXPIRE', returned, ARGV[1])
local epoch = is_own_memory(pool) and redis.call('HGET', pool, 'epoch')
local list = redis.call('GET', reaped)
if not epoch or string.match(list, '^@(%S*)') ~= epoch then return {0} end
return {1, list, redis.call('SMEMBERS', returned)}
