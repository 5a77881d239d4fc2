-- Stop people: no campaign is granted a message to them for a while, whatever a turn has claimed already.
--
-- KEYS  1 people who opted out just now (zset person -> until)
-- ARGV  1 now_ms or ''  2 for so many ms from now on  3 idle_ms  then the people
-- Returns 1.
--
-- Guarantees: from the next grant on, by whichever turn of the pool. Replies are not stopped: the person may be answered.
-- The ledger keeps the person out for good; this covers what was claimed before it knew.

local now = clock(ARGV[1])
local until_ms, stopped = string.format('%.0f', now + tonumber(ARGV[2])), {}
for i = 4, #ARGV do
  stopped[#stopped + 1] = until_ms
  stopped[#stopped + 1] = ARGV[i]
end
redis.call('ZADD', KEYS[1], 'GT', unpack(stopped))
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
