-- One token of a bucket, or how long to wait: what tutorials on rate limits with Redis show.
--
-- KEYS[1]  the bucket, a hash of `level` (tokens) and `at` (milliseconds)
-- ARGV[1]  rate, tokens per second
-- ARGV[2]  burst, tokens
-- Returns 0 when a token was taken, else the milliseconds until there will be one. The bucket is forgotten when it is full.
local rate, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local bucket = redis.call('HMGET', KEYS[1], 'level', 'at')
local level, at = tonumber(bucket[1]) or burst, tonumber(bucket[2]) or now
level = math.min(burst, level + (now - at) * rate / 1000)
local wait = 0
if level >= 1 then
  level = level - 1
else
  wait = math.ceil((1 - level) * 1000 / rate)
end
redis.call('HSET', KEYS[1], 'level', level, 'at', now)
redis.call('PEXPIRE', KEYS[1], math.ceil(burst * 1000 / rate) + 1000)
return wait
