#!lua flags=allow-oom
-- Keeps a member's leases up to its share, gives back what is above it, and takes free ones below it.
-- KEYS: the leases of one topic. ARGV: member, milliseconds, share. Answers the indices of those it holds.
local call, member, lease, share = redis.call, ARGV[1], ARGV[2], tonumber(ARGV[3])
local held = {}
for index, key in ipairs(KEYS) do
  if call('GET', key) == member then
    if #held < share then
      call('PEXPIRE', key, lease)
      held[#held + 1] = index
    else
      call('DEL', key)
    end
  end
end
for index, key in ipairs(KEYS) do
  if #held == share then
    break
  end
  if call('SET', key, member, 'PX', lease, 'NX') then
    held[#held + 1] = index
  end
end
return held
