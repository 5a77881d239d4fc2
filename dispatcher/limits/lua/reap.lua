-- Reap a turn: bar it from any further grant, and tell what it had been granted.
--
-- KEYS  1 handed set of the turn  2 the turn's mark of being reaped
-- ARGV  1 lifetime of the mark, ms
-- Returns {1, message id, …}, or {0} when the handed set is gone and nobody knows.
--
-- Guarantees: atomic against grant: an id is either in the answer or was never granted. Repeating it gives the same
-- answer while the mark lives, because the mark *is* the renamed set; '0' stands for no message, '-1' for "unknown".

if redis.call('EXISTS', KEYS[1]) == 1 then
  redis.call('RENAME', KEYS[1], KEYS[2])
elseif redis.call('EXISTS', KEYS[2]) == 0 then
  redis.call('SADD', KEYS[2], '-1')
end
redis.call('PEXPIRE', KEYS[2], ARGV[1])
if redis.call('SISMEMBER', KEYS[2], '-1') == 1 then return {0} end
local answer = redis.call('SMEMBERS', KEYS[2])
for i, id in ipairs(answer) do
  if id == '0' then answer[i] = answer[1] end
end
answer[1] = 1
return answer
