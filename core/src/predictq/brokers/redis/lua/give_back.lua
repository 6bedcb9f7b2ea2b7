#!lua flags=allow-oom
-- Gives back, uncounted, all that a member holds. KEYS: streams.
-- ARGV: group, member, pool, whether the member leaves for good. A stream or group that is gone has nothing to take.
local call, group, member, pool, leaves = redis.call, ARGV[1], ARGV[2], ARGV[3], ARGV[4] == '1'
for _, key in ipairs(KEYS) do
  while true do
    local held = redis.pcall('XPENDING', key, group, '-', '+', 1000, member)
    if held.err or #held == 0 then
      if leaves and not held.err then
        call('XGROUP', 'DELCONSUMER', key, group, member)
      end
      break
    end
    for _, pending in ipairs(held) do
      call('XCLAIM', key, group, pool, 0, pending[1], 'RETRYCOUNT', math.max(pending[4] - 1, 0), 'JUSTID')
    end
  end
  if leaves and call('GET', key .. ':lease:' .. group) == member then
    call('DEL', key .. ':lease:' .. group)
  end
end
return 1
