#!lua
-- Makes a stream, and a group on it where one is named. KEYS: the stream. ARGV: group or nothing, `$` or `0`.
-- What exists stays as it is.
local call, key = redis.call, KEYS[1]
if redis.call('TYPE', key).ok == 'none' then
  call('XGROUP', 'CREATE', key, 'making', '$', 'MKSTREAM')
  call('XGROUP', 'DESTROY', key, 'making')
end
if ARGV[1] == '' then
  return 1
end
for _, group in ipairs(call('XINFO', 'GROUPS', key)) do
  if group[2] == ARGV[1] then
    return 0
  end
end
call('XGROUP', 'CREATE', key, ARGV[1], ARGV[2])
return 1
