-- Begin a rebuild: is one needed at all?
--
-- KEYS  1 pool hash  2 the rebuild's own mark  3.. sender hashes
-- ARGV  1 force: 1 = the memory cannot be trusted, end its epoch now  2 lifetime of the mark, ms
-- Returns the epoch when pool and senders are all counted under it and nothing was forced, else ''.
--
-- Guarantees: a memory that another server process has left is never taken for whole. The mark names the process, so
-- that a rebuild cannot finish upon a half-filled memory after a loss, a restart or a fail-over on the way.

local pool, mark = KEYS[1], KEYS[2]

if ARGV[1] == '1' then redis.call('HDEL', pool, 'epoch') end
local epoch = is_own_memory(pool) and redis.call('HGET', pool, 'epoch')
local whole = epoch
for i = 3, #KEYS do
  whole = whole and redis.call('HGET', KEYS[i], 'counted') == epoch
end
if whole then return epoch end
redis.call('SET', mark, server(), 'PX', ARGV[2])
return ''
