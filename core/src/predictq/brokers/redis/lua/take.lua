#!lua flags=allow-oom
-- Claims the next entries for a member: released ones, those of dead members, new ones; stream after stream.
-- KEYS: streams in order of precedence.
-- ARGV: group, member, pool, most messages, most bytes, whether the batch is still empty, milliseconds after which
--   a silent member's entries are taken (0: not now), milliseconds of a lease; then a way of reading for each stream:
--   `retry` (what is due is added to it first), `again` (only what was handed out before), `leased`.
-- Answers {milliseconds until the next retry is due or -1, whether more would not fit, last ids of the leased streams
-- (none when full), {index, entries, redeliveries}, ...}, `redeliveries` empty where all entries are new.
local group, member, pool = ARGV[1], ARGV[2], ARGV[3]
local room, bytes, empty = tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6] == '1'
local silent, lease, ways = tonumber(ARGV[7]), ARGV[8], 8
local most, full, answer, call = room, false, {-1, 0, {}}, redis.call

local function alone(fields)
  for i = 3, #fields, 2 do
    if fields[i] == 'a' then
      return true
    end
  end
  return false
end

-- Whether an entry still goes into the batch; what comes alone fills it.
local function fits(fields)
  local single, size = alone(fields), #fields[2]
  if not empty and (single or size > bytes) then
    full = true
    return false
  end
  empty, room, bytes = false, room - 1, bytes - size
  full = single or room == 0 or bytes <= 0
  return true
end

-- Entries that were handed out before, `found` by XPENDING.
local function again(index, key, found)
  local entries, redeliveries = {}, {}
  for _, pending in ipairs(found) do
    if full then
      break
    end
    local id, owner, count = pending[1], pending[2], pending[4]
    local held = call('XRANGE', key, id, id)[1]
    if not held then
      call('XACK', key, group, id)
    elseif fits(held[2]) then
      call('XCLAIM', key, group, member, 0, id, 'RETRYCOUNT', count + 1, 'JUSTID')
      entries[#entries + 1], redeliveries[#redeliveries + 1] = held, count
    end
  end
  if #entries > 0 then
    answer[#answer + 1] = {index, entries, redeliveries}
  end
end

local function not_mine(found)
  local others = {}
  for _, pending in ipairs(found) do
    if pending[2] ~= member then
      others[#others + 1] = pending
    end
  end
  return others
end

local function new(index, key)
  local portion = 100
  while not full do
    local asked = math.min(room, portion)
    local read = call('XREADGROUP', 'GROUP', group, member, 'COUNT', asked, 'STREAMS', key, '>')
    if not read then
      return
    end
    local entries, taken, size = read[1][2], {}, 0
    for _, entry in ipairs(entries) do
      if not full and fits(entry[2]) then
        taken[#taken + 1] = entry
        size = size + #entry[2][2]
      else
        call('XCLAIM', key, group, pool, 0, entry[1], 'RETRYCOUNT', 0, 'JUSTID')
      end
    end
    if #taken > 0 then
      answer[#answer + 1] = {index, taken, {}}
      portion = math.max(1, math.min(100, math.floor(bytes * #taken / math.max(size, 1))))
    end
    if #entries < asked then
      return
    end
  end
end

local function move_due(key, now)
  local copies = call('ZRANGEBYSCORE', key .. ':due', '-inf', now, 'LIMIT', 0, 1000)
  local id, following
  if #copies > 0 then
    id, following = ids_of_next(key, now)
  end
  for _, copy in ipairs(copies) do
    call('XADD', key, id, unpack(cmsgpack.unpack(call('HGET', key .. ':waiting', copy))))
    call('HDEL', key .. ':waiting', copy)
    call('ZREM', key .. ':due', copy)
    call('ZREM', key .. ':published', copy)
    id = following
  end
  local next = call('ZRANGE', key .. ':due', 0, 0, 'WITHSCORES')
  if next[2] then
    local wait = math.max(tonumber(next[2]) - now, 0)
    if answer[1] < 0 or wait < answer[1] then
      answer[1] = wait
    end
  end
end

local now = milliseconds()
for index, key in ipairs(KEYS) do
  if ARGV[ways + index] == 'retry' then
    move_due(key, now)
  end
end

for index, key in ipairs(KEYS) do
  if full then
    break
  end
  local way = ARGV[ways + index]
  if way == 'leased' then
    -- The holder of the lease is the only reader: whatever another has not settled comes first, and in order.
    local holder = key .. ':lease:' .. group
    if call('GET', holder) == member then
      call('PEXPIRE', holder, lease)
      again(index, key, not_mine(call('XPENDING', key, group, '-', '+', 2 * most)))
      new(index, key)
    end
  else
    again(index, key, call('XPENDING', key, group, '-', '+', room, pool))
    -- A member that is silent for one of its entries is so for all: its batch is not torn by a millisecond.
    local dead = silent > 0 and call('XPENDING', key, group, 'IDLE', silent, '-', '+', 1) or {}
    while #dead > 0 and not full do
      local owner = dead[1][2]
      -- Ours may also be what this very call has claimed.
      local idle = owner == member and silent or 0
      again(index, key, call('XPENDING', key, group, 'IDLE', idle, '-', '+', room, owner))
      dead = call('XPENDING', key, group, 'IDLE', silent, '-', '+', 1)
    end
    if way == 'retry' and not full then
      new(index, key)
    end
  end
end

answer[2] = full and 1 or 0
if not full then
  for index, key in ipairs(KEYS) do
    if ARGV[ways + index] == 'leased' then
      answer[3][#answer[3] + 1] = facts(call('XINFO', 'STREAM', key))['last-generated-id']
    end
  end
end
return answer
