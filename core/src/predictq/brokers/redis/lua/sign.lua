#!lua flags=allow-oom
-- A sign of life. KEYS: live members, pulse of the group. ARGV: member, milliseconds of its claim.
-- Answers whether silent members may be taken for dead, then the names of the live ones. When nobody at all could give
-- a sign for a while (the server was away, the machine slept), nobody is dead until all have had the time to give one.
local call, member, claim = redis.call, ARGV[1], tonumber(ARGV[2])
local now = milliseconds()
local pulse = call('HMGET', KEYS[2], 'since', 'last')
local since, last = tonumber(pulse[1] or now), tonumber(pulse[2] or 0)
if now - last > claim / 2 then
  since = now
end
call('HSET', KEYS[2], 'since', since, 'last', now)
call('ZADD', KEYS[1], now + claim, member)
call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - 3600000)
return {now - since >= claim and 1 or 0, unpack(call('ZRANGEBYSCORE', KEYS[1], '(' .. now, '+inf'))}
