-- Rebuild, people: one chunk of those whom one sender has reached.
--
-- KEYS  1 the rebuild's own mark  2 reach by sender  3 reach by pool
-- ARGV  1 lifetime of the mark, ms  2 idle_ms  3.. end_ms, person, end_ms, person …
-- Returns 1, or 0 when the memory was lost again since the rebuild began.
--
-- Guarantees: an end already known is never made earlier (GT), so rebuilds and grants may overlap.

local mark = KEYS[1]

if redis.call('GET', mark) ~= server() then return 0 end
redis.call('PEXPIRE', mark, ARGV[1])
for i = 3, #ARGV, 2000 do -- Lua's stack holds about 8,000 arguments
  local last = math.min(i + 1999, #ARGV)
  redis.call('ZADD', KEYS[2], 'GT', unpack(ARGV, i, last))
  redis.call('ZADD', KEYS[3], 'GT', unpack(ARGV, i, last))
end
redis.call('PEXPIRE', KEYS[2], ARGV[2])
redis.call('PEXPIRE', KEYS[3], ARGV[2])
return 1
