#!lua flags=no-writes
-- How far a group is behind. KEYS: streams of one topic. ARGV: group, pool.
-- Answers {ready, in flight, publish time of the oldest in milliseconds or -1}, or nothing when a stream lacks the group.
local call, group, pool = redis.call, ARGV[1], ARGV[2]
local ready, in_flight, oldest = 0, 0, -1

local function older(ms)
  if ms and (oldest < 0 or ms < oldest) then
    oldest = ms
  end
end

local function published(entry)
  if entry then
    for i = 3, #entry[2], 2 do
      if entry[2][i] == 't' then
        return tonumber(entry[2][i + 1])
      end
    end
    return tonumber(string.match(entry[1], '%d+'))
  end
end

for _, key in ipairs(KEYS) do
  local found
  local groups = redis.pcall('XINFO', 'GROUPS', key)
  if groups.err then
    return false
  end
  for _, flat in ipairs(groups) do
    local one = facts(flat)
    if one['name'] == group then
      found = one
    end
  end
  if not found then
    return false
  end
  local last, unread = found['last-delivered-id'], 0
  local stream = facts(call('XINFO', 'STREAM', key))
  if stream['length'] > 0 then
    local _, first_number = parts(stream['first-entry'][1])
    local _, last_number = parts(stream['last-entry'][1])
    local _, read = parts(last)
    if last_number - first_number + 1 == stream['length'] then
      unread = last_number - math.max(read, first_number - 1)
    else
      -- Somebody else has added or deleted entries.
      unread = #call('XRANGE', key, '(' .. last, '+', 'COUNT', 100000)
    end
  end
  ready = ready + unread
  if found['pending'] > 0 then
    local pending = call('XPENDING', key, group)
    older(published(call('XRANGE', key, pending[2], '+', 'COUNT', 1)[1]))
    for _, consumer in ipairs(pending[4]) do
      if consumer[1] == pool then
        ready = ready + tonumber(consumer[2])
      else
        in_flight = in_flight + tonumber(consumer[2])
      end
    end
  end
  if unread > 0 then
    older(published(call('XRANGE', key, '(' .. last, '+', 'COUNT', 1)[1]))
  end
  ready = ready + call('ZCARD', key .. ':due')
  older(tonumber(call('ZRANGE', key .. ':published', 0, 0, 'WITHSCORES')[2]))
end
return {ready, in_flight, oldest}
