-- Commit a rebuild: from here on the pool can be granted from.
--
-- KEYS  1 pool hash  2 the rebuild's own mark  3.. sender hashes
-- ARGV  1 now_ms or ''  2 the new epoch  3 idle_ms  4 day_ms  5.. per sender: 1 = its people were written, 0 = unlimited
-- Returns the epoch in force, or '' when the memory was lost again since the rebuild began.
--
-- Guarantees: of two rebuilds at once, the second joins the epoch of the first; both wrote the same people.
-- A sender that got a limit while its people were left out stays uncounted and asks for another rebuild.

local pool, mark = KEYS[1], KEYS[2]
local here = server()

if redis.call('GET', mark) ~= here then return '' end
redis.call('DEL', mark)
is_own_memory(pool) -- why: an epoch that another server process has left is not to be joined
redis.call('HSETNX', pool, 'epoch', ARGV[2])
redis.call('HSET', pool, 'server', here)
local epoch = redis.call('HGET', pool, 'epoch')
for i = 3, #KEYS do
  local written, limit = ARGV[i + 2] == '1', redis.call('HGET', KEYS[i], 'limit')
  if limit == '-1' or (limit and written) then
    redis.call('HSET', KEYS[i], 'counted', epoch)
    redis.call('PEXPIRE', KEYS[i], ARGV[3])
  end
  if not written then
    redis.call('HSET', pool, 'uncounted_until', clock(ARGV[1]) + tonumber(ARGV[4]))
  end
end
redis.call('PEXPIRE', pool, ARGV[3])
return epoch
