-- Give back: undo grants that certainly reached nobody.
--
-- KEYS  1 pool hash  2 sender hash  3 handed messages of the turn  4 reach by sender  5 reach by pool  6 pairs  7 served
--       8 messages of the turn given back
-- ARGV  1 now_ms or ''  2 epoch of the pass  3 lane  4 weight  5 day_ms  6 pair interval_ms
--       7 number of unposted messages  8 lifetime of what belongs to the turn, ms
--       then per unposted message: message id, person
--       then per reach token: person, end_ms, end before by sender (0: there was none), end before by pool (-1: it was
--       not counted there), 1 if the message was posted
-- Returns the number of messages that count as handed over no longer.
--
-- Guarantees: repeating it changes nothing. Rate and pair tokens return once, for messages that were handed over.
-- A reach token returns only while it is the latest one of its person; one renewed since stays with the renewal.
-- The pair debt of a posted message stays: where only the token told of it, it is written down before the token goes.
-- If the memory is not that of the pass, nothing happens: there is nothing of ours in it.

local now, epoch, lane = clock(ARGV[1]), ARGV[2], ARGV[3]
local step = math.max(1, math.floor(MESSAGE / tonumber(ARGV[4])))
local day_ms, interval_ms, unposted, FIRST = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7]), 9
local pool, sender, handed, reach_sender, reach_pool = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local pairs_key, served, returned = KEYS[6], KEYS[7], KEYS[8]

local s = redis.call('HMGET', sender, 'rate', 'burst', 'level', 'at', 'share', 'slowed_at')
if not s[1] or redis.call('HGET', pool, 'epoch') ~= epoch then return 0 end

local was_handed = {}
for id in string.gmatch(unposted > 0 and redis.call('GET', handed) or '', '%S+') do was_handed[id] = true end
local undone = 0
for i = FIRST, FIRST + 2 * unposted - 1, 2 do
  if was_handed[ARGV[i]] and redis.call('SADD', returned, ARGV[i]) == 1 then
    undone = undone + 1
    local arrival = tonumber(redis.call('ZSCORE', pairs_key, ARGV[i + 1]) or 0) - interval_ms
    if arrival > now then
      redis.call('ZADD', pairs_key, arrival, ARGV[i + 1])
    else
      redis.call('ZREM', pairs_key, ARGV[i + 1])
    end
  end
end
if undone > 0 then
  redis.call('PEXPIRE', returned, ARGV[8])
  local burst = tonumber(s[2])
  local share, slowed_at = tonumber(s[5]), tonumber(s[6])
  local level = refill(tonumber(s[3]), tonumber(s[4]), now, tonumber(s[1]), burst, share, slowed_at)
  if slowed_at and slowed_at > now then redis.call('HSET', sender, 'slowed_at', now) end
  redis.call('HSET', sender, 'level', math.min(burst * MESSAGE, level + undone * MESSAGE), 'at', now)
  local units = redis.call('HGET', served, lane)
  if units then redis.call('HSET', served, lane, tonumber(units) - undone * step) end
end

local function restore(key, person, token_end, before)
  if before < 0 or tonumber(redis.call('ZSCORE', key, person) or 0) ~= token_end then return false end
  if before > now then
    redis.call('ZADD', key, before, person)
  else
    redis.call('ZREM', key, person)
  end
  return true
end
for i = FIRST + 2 * unposted, #ARGV, 5 do
  local person, token_end = ARGV[i], tonumber(ARGV[i + 1])
  local was_latest = restore(reach_sender, person, token_end, tonumber(ARGV[i + 2]))
  restore(reach_pool, person, token_end, tonumber(ARGV[i + 3]))
  local arrival = token_end - day_ms + interval_ms
  if was_latest and ARGV[i + 4] == '1' and arrival > now then
    redis.call('ZADD', pairs_key, 'NX', arrival, person)
  end
end
return undone
