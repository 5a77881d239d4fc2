-- Prepended to every script of this folder: the clock and the rate bucket's arithmetic.
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

-- Level at `now` of a bucket that stood at `level` at `at`. A clock set back refills nothing and freezes nothing.
local function refill(level, at, now, rate_milli_per_s, burst)
  local capacity = burst * MESSAGE
  local elapsed_ms = math.min(math.max(now - at, 0), math.ceil(capacity / rate_milli_per_s))
  return math.min(capacity, level + elapsed_ms * rate_milli_per_s)
end

