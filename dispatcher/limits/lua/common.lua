-- Prepended to every script of this folder: the clock, the rate bucket's arithmetic, whose memory this is.
--
-- Units everywhere: times are integer milliseconds since 1970; bucket levels are millionths of a message, because
-- (thousandths of a message per second) x (milliseconds) gives just that and keeps the arithmetic in whole numbers.
-- Lua counts in doubles, exact up to 2^53; `refill` never multiplies more time than fills the bucket.
-- A number handed to redis.call may arrive as 1e+9: fine where Redis reads a double, wrong for an index or HINCRBY.

local MESSAGE = 1000000 -- one message in bucket units

-- The server's own time, unless a test or a rehearsal says what time it is ('' or a number of milliseconds).
local function clock(given)
  local ms = tonumber(given)
  if ms then return ms end
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

-- Adaptive rate. A halving leaves `share` sixteenths of the rate at `slowed_at`; one sixteenth comes back per step.
-- Both are nil for a sender that was never slowed down. Nobody is slowed below one message a second.
local WHOLE, STEP_MS, SLOWEST = 16, 5000, 1000
local DEBT_MS = 1000 -- a bucket owes at most what comes in within this time

local function share_at(share, slowed_at, now)
  if not share then return WHOLE end
  return math.min(WHOLE, share + math.floor(math.max(now - slowed_at, 0) / STEP_MS))
end

local function lowered(rate, share)
  return math.max(math.min(rate, SLOWEST), math.floor(rate * share / WHOLE))
end

-- Level at `now` of a bucket that stood at `level` at `at`, step by step where its rate climbs back meanwhile.
-- A clock set back refills nothing and freezes nothing, if the caller then writes `now` for `at` and `slowed_at`.
local function refill(level, at, now, rate_milli_per_s, burst, share, slowed_at)
  local present = share_at(share, slowed_at, at)
  while present < WHOLE and at < now do
    local step_end = math.min(now, slowed_at + (present - share + 1) * STEP_MS)
    level = level + (step_end - at) * lowered(rate_milli_per_s, present)
    at = step_end
    present = share_at(share, slowed_at, at)
  end
  local capacity = burst * MESSAGE
  local elapsed_ms = math.max(0, math.min(now - at, math.ceil((capacity - level) / rate_milli_per_s)))
  return math.min(capacity, level + elapsed_ms * rate_milli_per_s)
end

-- Inbound messages in thousandths per second, as measured: an average over about TAU_MS that fades when none come.
local TAU_MS = 10000
local function faded(inbound, measured_at, now)
  return inbound * TAU_MS / (TAU_MS + math.max(now - measured_at, 0))
end

-- Messages that campaigns leave in the bucket for replies: what was configured; more when people write, namely their
-- share of the rate, for who writes is to be answered; but for that never more than half of the burst.
local function reserve_for(configured, burst, rate, inbound, measured_at, now)
  if not inbound then return configured end
  local wanted = math.floor(faded(inbound, measured_at, now) * burst / rate + 0.5)
  return math.max(configured, math.min(wanted, math.floor(burst / 2)))
end

-- The server process that runs this script. A constant where INFO does not exist (a simulated server is always the
-- same); where it exists but may not be asked, the call fails, because then nobody would notice another memory.
local function server()
  local info = redis.pcall('INFO', 'server')
  if type(info) == 'table' then
    if string.find(tostring(info.err), '[Uu]nknown') then return 'the only one' end
    info = redis.call('INFO', 'server')
  end
  return string.match(info, 'run_id:(%w+)')
end

-- Whether the pool's memory was built by this server process. What another one has left (a restart, a fail-over) may
-- lack its last writes, however whole it looks: its epoch ends here, and the ledger tells everything anew.
local function is_own_memory(pool)
  if redis.call('HGET', pool, 'server') == server() then return true end
  redis.call('HDEL', pool, 'epoch')
  return false
end

