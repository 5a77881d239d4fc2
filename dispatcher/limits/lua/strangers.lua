-- Strangers: which turns does this memory know?
--
-- KEYS  1 pool hash  2.. handed messages of turns
-- Returns one number per turn: 1 where it was opened in the pool's present memory, and its grants are counted there; else 0.

local pool = KEYS[1]
local epoch = is_own_memory(pool) and redis.call('HGET', pool, 'epoch')
local known = {}
for i = 2, #KEYS do
  local opened_in = string.match(redis.call('GET', KEYS[i]) or '', '^@(%S*)')
  known[i - 1] = epoch and opened_in == epoch and 1 or 0
end
return known
