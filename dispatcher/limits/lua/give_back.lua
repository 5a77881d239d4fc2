-- Give back: undo grants that certainly reached nobody.
--
-- KEYS  1 pool hash  2 sender hash  3 handed messages of the turn  4 reach by sender  5 reach by pool  6 pairs
--       7 messages of the turn given back
-- ARGV  1 now_ms or ''  2 epoch of the pass  3 day_ms  4 pair interval_ms
--       5 number of unposted messages  6 lifetime of what belongs to the turn, ms
--       then the id of each unposted message
--       then per reach token: person, end_ms, end before by sender (0: there was none), end before by pool (-1: it was
--       not counted there), 1 if the message was posted
-- Returns the number of messages that count as handed over no longer.
--
-- Guarantees: repeating it changes nothing. Rate tokens and written pair debts do not return: the bucket has been filling
-- meanwhile, so a message given back late would let a burst and one more through at once. They are worth milliseconds.
-- A reach token returns only while it is the latest one of its person; one renewed since stays with the renewal.
-- The pair debt of a posted message stays: where only the token told of it, it is written down before the token goes.
-- If the memory is not that of the pass, nothing happens: there is nothing of ours in it.

local now, epoch = clock(ARGV[1]), ARGV[2]
local day_ms, interval_ms, unposted, FIRST = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), 7
local pool, sender, handed, reach_sender, reach_pool = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local pairs_key, returned = KEYS[6], KEYS[7]

if redis.call('EXISTS', sender) == 0 or redis.call('HGET', pool, 'epoch') ~= epoch then return 0 end

local was_handed = {}
for id in string.gmatch(unposted > 0 and redis.call('GET', handed) or '', '%S+') do was_handed[id] = true end
local undone = 0
for i = FIRST, FIRST + unposted - 1 do
  if was_handed[ARGV[i]] and redis.call('SADD', returned, ARGV[i]) == 1 then undone = undone + 1 end
end
if undone > 0 then redis.call('PEXPIRE', returned, ARGV[6]) end

local function restore(key, person, token_end, before)
  if before < 0 or tonumber(redis.call('ZSCORE', key, person) or 0) ~= token_end then return false end
  if before > now then
    redis.call('ZADD', key, before, person)
  else
    redis.call('ZREM', key, person)
  end
  return true
end
for i = FIRST + unposted, #ARGV, 5 do
  local person, token_end = ARGV[i], tonumber(ARGV[i + 1])
  local was_latest = restore(reach_sender, person, token_end, tonumber(ARGV[i + 2]))
  restore(reach_pool, person, token_end, tonumber(ARGV[i + 3]))
  local arrival = token_end - day_ms + interval_ms
  if was_latest and ARGV[i + 4] == '1' and arrival > now then
    redis.call('ZADD', pairs_key, 'NX', arrival, person)
  end
end
return undone
