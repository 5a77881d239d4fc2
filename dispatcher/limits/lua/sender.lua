-- Sender: make a sender's present limits known; what was counted stays.
--
-- KEYS  1 pool hash  2 sender hash  3 reach by sender  4 reach by pool
-- ARGV  1 now_ms or ''  2 rate, thousandths of a message per second  3 burst, messages  4 reserve, messages
--       5 people per day, -1 unlimited  6 scope: sender | portfolio  7 hold reason, '' for none
--       8 hold_ms from now on, -1: no time ends it  9 hold detail  10 idle_ms
-- Returns 1 when the sender can be granted from, 0 when its people must be counted first (see rebuild.py).
--
-- Guarantees: time that has passed is refilled at the old rate, never at the new one; a sender new to this memory
-- starts with an empty bucket, and so does one whose memory another server process has left. A rate that Meta made us
-- halve stays halved. A change of scope to the portfolio adds the sender's tokens to the pool's (about 0.1 s for
-- 100,000 people); they are its own all along, so the way back needs nothing. People messaged under an unlimited tier
-- were not counted: if there were any within the day and from now on they matter (a limit, or another scope), the
-- sender must be counted anew from the ledger.

local now, rate, limit, scope = clock(ARGV[1]), tonumber(ARGV[2]), ARGV[5], ARGV[6]
local pool, sender = KEYS[1], KEYS[2]

local was = redis.call('HMGET', sender, 'rate', 'burst', 'level', 'at', 'limit', 'scope', 'share', 'slowed_at')
local share, slowed_at = tonumber(was[7]), tonumber(was[8])
local level = 0
if was[1] and is_own_memory(pool) then
  level = refill(tonumber(was[3]), tonumber(was[4]), now, tonumber(was[1]), tonumber(was[2]), share, slowed_at)
  local matters = limit ~= '-1' and (was[5] == '-1' or was[6] ~= scope)
  if matters and tonumber(redis.call('HGET', pool, 'uncounted_until') or 0) > now then
    redis.call('HDEL', sender, 'counted')
  end
  if scope == 'portfolio' and was[6] ~= scope then
    redis.call('ZUNIONSTORE', KEYS[4], 2, KEYS[4], KEYS[3], 'AGGREGATE', 'MAX')
    redis.call('PEXPIRE', KEYS[4], ARGV[10])
  end
end
local hold_ms = tonumber(ARGV[8])
local hold_until = hold_ms < 0 and hold_ms or now + hold_ms
redis.call('HSET', sender, 'rate', rate, 'burst', ARGV[3], 'reserve', ARGV[4], 'limit', limit, 'scope', scope,
  'hold', ARGV[7], 'hold_until', hold_until, 'hold_detail', ARGV[9], 'level', level, 'at', now)
if slowed_at and slowed_at > now then redis.call('HSET', sender, 'slowed_at', now) end
redis.call('PEXPIRE', sender, ARGV[10])
local epoch = redis.call('HGET', pool, 'epoch')
return epoch and redis.call('HGET', sender, 'counted') == epoch and 1 or 0
