-- Reap a turn: bar it from any further grant, and tell what it had been granted.
--
-- KEYS  1 pool hash  2 handed set of the turn  3 the turn's mark of being reaped
-- ARGV  1 lifetime of the mark, ms
-- Returns {1, message id, …}, or {0} when nobody knows: the handed set is gone, or it belongs to another memory than
--         the pool's present one, and so may lack what was handed over last.
--
-- Guarantees: atomic against grant: an id is either in the answer or was never granted. Repeating it gives the same
-- answer while mark and memory live, because the mark *is* the renamed set; '?' is the mark of a set that was gone.

local pool, handed, reaped = KEYS[1], KEYS[2], KEYS[3]

if redis.call('EXISTS', handed) == 1 then
  redis.call('RENAME', handed, reaped)
elseif redis.call('EXISTS', reaped) == 0 then
  redis.call('SADD', reaped, '?')
end
redis.call('PEXPIRE', reaped, ARGV[1])
local epoch = is_own_memory(pool) and redis.call('HGET', pool, 'epoch')
if not epoch or redis.call('SISMEMBER', reaped, '@' .. epoch) == 0 then return {0} end
local answer = redis.call('SMEMBERS', reaped)
for i, id in ipairs(answer) do
  if id == '@' .. epoch then answer[i] = answer[1] end
end
answer[1] = 1
return answer
