-- Release people: they opted in again, and campaigns may write to them at once.
--
-- KEYS  1 people who opted out just now (zset person -> until)
-- ARGV  the people
-- Returns 1.
--
-- Guarantees: repeating it, or for people who were never stopped, changes nothing.

redis.call('ZREM', KEYS[1], unpack(ARGV))
return 1
