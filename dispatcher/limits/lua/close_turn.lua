-- Close a turn: forget what it handed over, and leave the queue of hungry lanes.
--
-- KEYS  1 handed messages of the turn  2 those of them given back  3 hungry lanes  4 served
-- ARGV  1 'lane priority weight', as in grant.lua
-- Returns 1 when the turn was open.
--
-- Guarantees: a lane that is done cannot hold up the others as "least served".

redis.call('ZREM', KEYS[3], ARGV[1])
redis.call('HDEL', KEYS[4], string.match(ARGV[1], '^%S+'))
redis.call('DEL', KEYS[2])
return redis.call('DEL', KEYS[1])
