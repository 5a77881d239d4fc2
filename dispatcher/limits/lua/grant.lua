-- Grant: which messages of one sub-batch may be posted now, and when the others should ask again.
--
-- KEYS  1 pool hash     2 sender hash     3 handed messages of the turn  4 the turn's mark of being reaped
--       5 reach by sender (zset person -> end of token)               6 reach by pool (the same)
--       7 pairs (zset person -> theoretical arrival time)             8 hungry lanes (zset 'lane priority weight' -> until)
--       9 served (hash lane -> millionths of a message divided by weight)
--       10 pairs that Meta refused (zset person -> until)             11 messages the turn gave back
-- ARGV  1 now_ms or ''  2 epoch of the pass  3 'lane priority weight': higher priorities first, weight >= 1
--       4 day_ms  5 pair interval_ms  6 pair burst  7 idle_ms: lifetime of unused memory
--       8 1 for replies, 0 for a campaign  9 one digit per ask: 1 costs reach, 0 does not; '' if all do
--       10 message ids   11 people, distinct; each list joined by blanks, at most 500 long
--       12 given (as 1) only where the server did not know this script: perhaps it is another one
-- Returns {1, reason, until_ms, detail, now_ms, walked, refused, waits, end_ms, before_pool, tokens}; positions from 1;
--         reason '' = no hold; until_ms -1 = no time ends it;
--         of the positions up to `walked` all may go but those in refused = {position, …}, for the tier,
--         and in waits = {position, until_ms, …}, for the pair;
--         each that goes has a token until end_ms, none if 0 (before it, 0 by sender and `before_pool`), except those in
--         tokens = {position, end_ms or 0 for none, end before by sender, end before by pool (-1: not counted), …}.
--         {0} the memory is not that of the pass; {-1} the turn was reaped. Nothing is changed then.
--
-- Guarantees
--   * Tier. A new person needs fewer than `limit` unexpired tokens in the scope in force, one who has a token no more than
--     `limit`: a rebuild gives tokens to people who were perhaps not messaged yet. The token ends one day after
--     the *latest* message, because Meta counts distinct people in a moving day. So no half-open window of one day ever
--     holds more than `limit` people. Each end is later than the one it replaces, so that give_back can tell two grants
--     of one millisecond apart. The sender's own tokens are always written, the pool's while it is the scope in force
--     (sender.lua merges the one into the other when the scope changes).
--   * Rate. In any interval at most rate x time + burst, at the rate in force then. Campaigns leave a reserve in the
--     bucket, which replies may take; a reply is never held up by a lane's share.
--   * Pair. GCRA: one message per interval, `pair burst` at once, which is debt against later ones. The debt of a single
--     message follows from the end of its reach token and is not written a second time. Nothing goes to a pair that
--     Meta refused before its time.
--   * A person refused for tier or pair costs no rate. A message that may go is handed down in writing before we return.
--   * Waiting until `until_ms` is enough for at least one message, if nobody else takes it first; for a lane that is
--     ahead (fair_share), as soon as the others have taken theirs, have got all they asked for CONTENT_GRACE_MS long, or
--     have been silent for HUNGRY_GRACE_MS.
--   * Lanes of one priority that want more than there is share by weight; a lane alone gets all; one of lower priority
--     keeps a twentieth beside a hungry one of higher priority, and never starves (see `share`).
--   * Nothing is granted on a memory that another server process has left. To ask for the server's name costs a tenth of
--     a batch, so it is asked in the first grant of a pool after LOOK_MS, by the clock in the memory itself: what a
--     restart or a fail-over brings back is as old as that took, and so the first grant after it does ask.

local now, epoch, as_rival = clock(ARGV[1]), ARGV[2], ARGV[3]
local day_ms, interval_ms, idle_ms = tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[7]
local tolerance_ms = (tonumber(ARGV[6]) - 1) * interval_ms
local is_reply, costs_digits, ids = ARGV[8] == '1', ARGV[9], ARGV[10]
local pool, sender, handed, reaped = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local reach_sender, reach_pool, pairs_key, hungry, served, barred_key = KEYS[5], KEYS[6], KEYS[7], KEYS[8], KEYS[9], KEYS[10]
local returned = KEYS[11]
local HUNGRY_GRACE_MS, CONTENT_GRACE_MS, SLICE_MS, LOOK_MS, OUTRANKED = 3000, 250, 50, 100, 20

if redis.call('EXISTS', handed) == 0 then
  return {redis.call('EXISTS', reaped) == 1 and -1 or 0}
end
local s = redis.call('HMGET', sender, 'counted', 'rate', 'burst', 'reserve', 'limit', 'scope',
  'hold', 'hold_until', 'hold_detail', 'level', 'at', 'share', 'slowed_at', 'inbound', 'inbound_at')
local p = redis.call('HMGET', pool, 'epoch', 'looked_at')
if s[1] ~= epoch or p[1] ~= epoch then return {0} end
local looked_ms_ago = now - tonumber(p[2] or 0)
if ARGV[12] or looked_ms_ago < 0 or looked_ms_ago >= LOOK_MS then
  if not is_own_memory(pool) then return {0} end
  redis.call('HSET', pool, 'looked_at', now)
  redis.call('PEXPIRE', pool, idle_ms)
  redis.call('PEXPIRE', sender, idle_ms)
end
local hold_until = tonumber(s[8])
if s[7] ~= '' and (hold_until < 0 or hold_until > now) then
  return {1, s[7], hold_until, s[9], now, 0, {}, {}, 0, 0, {}}
end
local nominal, burst, limit = tonumber(s[2]), tonumber(s[3]), tonumber(s[5])
local slow_share, slowed_at = tonumber(s[12]), tonumber(s[13])
local rate = slow_share and lowered(nominal, share_at(slow_share, slowed_at, now)) or nominal
local level = refill(tonumber(s[10]), tonumber(s[11]), now, nominal, burst, slow_share, slowed_at)
local floor_units = 0
if not is_reply then
  floor_units = reserve_for(tonumber(s[4]), burst, rate, tonumber(s[14]), tonumber(s[15]), now) * MESSAGE
end

local people, asked = {}, 0
for person in string.gmatch(ARGV[11], '[^ ]+') do
  asked = asked + 1
  people[asked] = person
end
local all_cost = costs_digits == ''
if not all_cost and asked ~= #costs_digits then
  return redis.error_reply('ERR people and digits differ in number; is a blank in a name?')
end

-- What stands for each person later than now.
local function standing(key)
  redis.call('ZREMRANGEBYSCORE', key, '-inf', now)
  return redis.call('ZMSCORE', key, unpack(people))
end
local portfolio, counted = s[6] == 'portfolio', limit >= 0
local scope = portfolio and reach_pool or reach_sender
local by_sender, by_pool = standing(reach_sender), portfolio and standing(reach_pool) or {}
local known = portfolio and by_pool or by_sender
local free = counted and limit - redis.call('ZCARD', scope) or 0
local implied_ms = interval_ms - day_ms -- from the end of a token to the arrival after its message
-- Most of the time there is no debt, no rival, nothing given back; one question finds that out.
local arrivals, barred, rivals = {}, {}, {}
local stands = redis.call('EXISTS', pairs_key, barred_key, hungry, served, returned) > 0
if stands then
  arrivals, barred = standing(pairs_key), standing(barred_key)
  if not is_reply then
    redis.call('ZREMRANGEBYSCORE', hungry, '-inf', now)
    rivals = redis.call('ZRANGE', hungry, 0, -1)
  end
end

-- Share: while other lanes are hungry, this one may be a quantum (a quarter second of the rate) ahead of the one served
-- least. A lane that was not hungry starts no lower than that one: idleness earns no credit. While one of them is of
-- higher priority, each message counts as OUTRANKED of its messages, and a single one is all there is of a quantum.
-- Replies stand outside.
local function read(rival) -- lane, priority, what one message adds to `served`
  local lane, priority, weight = string.match(rival, '^(%S+) (%S+) (%S+)$')
  return lane, tonumber(priority), math.max(1, math.floor(MESSAGE / tonumber(weight)))
end
local mine, share, quantum, was_hungry, least = 0, asked, nil, false, nil
local lane, step, pace -- `pace`: what each message that goes to the others adds to theirs
if #rivals > 0 then
  local priority, above
  lane, priority, step = read(as_rival)
  for _, rival in ipairs(rivals) do
    local other, rank, their_step = read(rival)
    if other == lane then
      was_hungry = true
    else
      local units = tonumber(redis.call('HGET', served, other) or 0)
      least = math.min(least or units, units)
      if rank > priority then above = math.max(above or 0, their_step) end
    end
  end
  quantum, pace = math.max(1, math.floor(rate / 4000)), step
  if above then quantum, pace, step = 1, above, OUTRANKED * above end
  if least then
    mine = tonumber(redis.call('HGET', served, lane) or 0)
    if not was_hungry then mine = math.max(mine, least) end
    share = quantum + math.floor((least - mine) / step)
  end
end

-- The walk. Tier first, then pair, then share and rate: whoever fails has spent nothing.
local most = math.min(share, math.floor((level - floor_units) / MESSAGE))
local refused, waits, stays, tokens = {}, {}, {}, {}
local reached, debts, r, d = {}, {}, 0, 0 -- what ZADD will get
local walked, granted, uncounted, short = 0, 0, false, nil
local day_end, uncounted_before = now + day_ms, portfolio and 0 or -1
-- Once for all: to write a number costs Redis more than to write a string.
local day_end_text, arrival_text = string.format('%.0f', day_end), string.format('%.0f', now + interval_ms)
local function special(...)
  for _, field in ipairs({...}) do tokens[#tokens + 1] = field end
end
for i = 1, asked do
  local person, ours = people[i], by_sender[i]
  local costs = all_cost or string.byte(costs_digits, i) == 49 -- '1'
  local counts = counted and costs
  local arrival, free_at = arrivals[i] and tonumber(arrivals[i]) or ours and tonumber(ours) + implied_ms, barred[i]
  if arrival and arrival <= now then arrival = nil end
  if arrival or free_at then free_at = math.max(arrival and arrival - tolerance_ms or 0, tonumber(free_at or 0)) end
  if counts and (free < 0 or free == 0 and not known[i]) then
    refused[#refused + 1] = i
    stays[i] = true
  elseif free_at and free_at > now then
    waits[#waits + 1] = i
    waits[#waits + 1] = free_at
    stays[i] = true
  elseif granted >= most then
    short = granted >= share and 'fair_share' or 'rate'
    break
  else
    granted = granted + 1
    if arrival or not counts then
      debts[d + 1], debts[d + 2] = arrival and arrival + interval_ms or arrival_text, person
      d = d + 2
    end
    if not counts then
      uncounted = uncounted or costs
      if counted then special(i, 0, 0, 0) end
    else
      local token_end, theirs = day_end_text, by_pool[i]
      if not known[i] then free = free - 1 end
      if ours or theirs then
        local before_sender, before_pool = tonumber(ours or 0), tonumber(theirs or uncounted_before)
        token_end = math.max(day_end, before_sender + 1, before_pool + 1)
        special(i, token_end, before_sender, before_pool)
      end
      reached[r + 1], reached[r + 2] = token_end, person
      r = r + 2
    end
  end
  walked = i
end
level = level - granted * MESSAGE

-- Write down what was spent, what is handed over first.
if granted == asked and not stands then
  redis.call('APPEND', handed, ' ' .. ids)
elseif granted > 0 then
  local handed_now, position = {}, 0
  for id in string.gmatch(ids, '[^ ]+') do
    position = position + 1
    if position > walked then break end
    if not stays[position] then handed_now[#handed_now + 1] = id end
  end
  redis.call('APPEND', handed, ' ' .. table.concat(handed_now, ' '))
  redis.call('SREM', returned, unpack(handed_now)) -- given back once, claimed and granted again
end
if d > 0 then
  redis.call('ZADD', pairs_key, unpack(debts))
  redis.call('PEXPIRE', pairs_key, idle_ms)
end
if r > 0 then
  redis.call('ZADD', reach_sender, unpack(reached))
  redis.call('PEXPIRE', reach_sender, idle_ms)
  if portfolio then
    redis.call('ZADD', reach_pool, unpack(reached))
    redis.call('PEXPIRE', reach_pool, idle_ms)
  end
end
if uncounted then redis.call('HSET', pool, 'uncounted_until', day_end) end
redis.call('HSET', sender, 'level', level, 'at', now)
if slowed_at and slowed_at > now then redis.call('HSET', sender, 'slowed_at', now) end -- the clock was set back

-- The hold on the rest. A short rate is named before a full tier: somebody else of this batch can go sooner.
local reason, until_ms = '', -1
local function ready_at(messages) -- when the bucket will hold so many
  return now + math.max(0, math.ceil((floor_units + messages * MESSAGE - level) / rate))
end
if short == 'rate' then
  local waiting = math.min(asked - granted, math.floor(rate * SLICE_MS / MESSAGE), burst - floor_units / MESSAGE)
  reason, until_ms = short, ready_at(math.max(1, waiting))
elseif short == 'fair_share' then
  -- The messages that the others must get before this lane's next, taking the weight of its equals for its own.
  local behind = math.ceil((mine + (granted + 1 - quantum) * step - least) / pace)
  reason, until_ms = short, now + math.max(SLICE_MS, math.ceil(behind * MESSAGE / rate))
elseif #refused > 0 then
  reason = 'tier_exhausted'
  if limit > 0 then
    -- The token that must come back before a new one is free; not the first if the tier was lowered below what is used.
    local last = string.format('%d', redis.call('ZCARD', scope) - limit)
    until_ms = math.max(tonumber(redis.call('ZRANGE', scope, last, last, 'WITHSCORES')[2]), ready_at(1))
  end
end

if short and not is_reply then
  redis.call('ZADD', hungry, until_ms + HUNGRY_GRACE_MS, as_rival)
  redis.call('PEXPIRE', hungry, idle_ms)
elseif was_hungry then
  redis.call('ZADD', hungry, 'LT', now + CONTENT_GRACE_MS, as_rival) -- it got all that it asked for
end
if least then
  redis.call('HSET', served, lane, mine + granted * step)
  redis.call('PEXPIRE', served, idle_ms)
elseif stands and not is_reply then
  redis.call('DEL', served) -- nobody to be fair to: history means nothing
end
return {1, reason, until_ms, '', now, walked, refused, waits, counted and day_end or 0, uncounted_before, tokens}
