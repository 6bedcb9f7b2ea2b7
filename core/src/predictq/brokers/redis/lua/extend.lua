#!lua flags=allow-oom
-- Renews a member's claim on what is still its own. KEYS: streams.
-- ARGV: group, member, milliseconds of a lease; for each stream the number of ids, and the ids.
-- Answers how many are not its own any more.
local call, group, member, lost, at = redis.call, ARGV[1], ARGV[2], 0, 4
for _, key in ipairs(KEYS) do
  local own, kept = {}, {}
  for _, pending in ipairs(call('XPENDING', key, group, '-', '+', 1000000, member)) do
    own[pending[1]] = true
  end
  local count = tonumber(ARGV[at])
  for i = at + 1, at + count do
    if own[ARGV[i]] then
      kept[#kept + 1] = ARGV[i]
    else
      lost = lost + 1
    end
  end
  at = at + 1 + count
  for first = 1, #kept, 1000 do
    local some = {unpack(kept, first, math.min(first + 999, #kept))}
    some[#some + 1] = 'JUSTID'
    call('XCLAIM', key, group, member, 0, unpack(some))
  end
  if call('GET', key .. ':lease:' .. group) == member then
    call('PEXPIRE', key .. ':lease:' .. group, ARGV[3])
  end
end
return lost
