-- Back off from a pair: nothing goes from this sender to this person for a given time.
--
-- KEYS  1 pairs that Meta refused (zset person -> until)
-- ARGV  1 now_ms or ''  2 person  3 for so many ms from now on  4 idle_ms
-- Returns 1.
--
-- Guarantees: a back-off is never shortened by a later, shorter one. It is kept apart from our own debt of the pair,
-- so that giving back a message cannot end it early.

local now = clock(ARGV[1])
redis.call('ZADD', KEYS[1], 'GT', now + math.min(tonumber(ARGV[3]), tonumber(ARGV[4])), ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return 1
