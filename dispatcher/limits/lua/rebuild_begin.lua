-- Begin a rebuild: is one needed at all?
--
-- KEYS  1 pool hash  2 the rebuild's own mark  3.. sender hashes
-- ARGV  1 force: 1 = the memory cannot be trusted, end its epoch now  2 lifetime of the mark, ms
-- Returns the epoch when pool and senders are all counted under it and nothing was forced, else ''.
--
-- Guarantees: the mark vanishes with any loss of memory, so that a rebuild cannot finish upon a half-filled one.

local epoch = redis.call('HGET', KEYS[1], 'epoch')
local whole = epoch and ARGV[1] ~= '1'
for i = 3, #KEYS do
  whole = whole and redis.call('HGET', KEYS[i], 'counted') == epoch
end
if whole then return epoch end
if ARGV[1] == '1' then redis.call('HDEL', KEYS[1], 'epoch') end
redis.call('SET', KEYS[2], '1', 'PX', ARGV[2])
return ''
