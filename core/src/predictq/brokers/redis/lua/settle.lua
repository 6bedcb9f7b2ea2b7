#!lua
-- Settles a batch: outputs, retries and dead letters are written and its entries acknowledged, or nothing happens.
-- KEYS: where the last settlement is remembered, then streams.
-- ARGV: group, member, pool, token of this settlement, records lost before, milliseconds to remember, longest;
--   number of sources; for each: index of its stream, number and ids of what is acknowledged, and of what is released;
--   runs (see `writes.lua`); number of delayed messages; for each: index of its stream, due in so many milliseconds,
--   shape, values.
-- Answers {'OK'}; {'DONE', lost} when this very settlement was made before and its answer was lost;
-- {'LOST', index, id, ...} with what is not the member's any more; or what `check_runs` says.
local group, member, pool, token, lost = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local longest, call = tonumber(ARGV[7]), redis.call

local remembered = call('GET', KEYS[1])
if remembered and string.sub(remembered, 1, #token + 1) == token .. ' ' then
  return {'DONE', tonumber(string.sub(remembered, #token + 2))}
end

local function ids_at(at)
  local count, ids = tonumber(ARGV[at]), {}
  for i = 1, count do
    ids[i] = ARGV[at + i]
  end
  return ids, at + 1 + count
end

-- What is delayed goes to streams that must be there too.
local function check_later(at)
  at = skip_runs(at)
  local later = tonumber(ARGV[at])
  at = at + 1
  for _ = 1, later do
    local key = KEYS[tonumber(ARGV[at])]
    if call('TYPE', key).ok ~= 'stream' then
      return {'GONE', key}
    end
    at = at + 3 + #ARGV[at + 2]
  end
end

local sources, gone, at = {}, {'LOST'}, 9
for s = 1, tonumber(ARGV[8]) do
  local index = tonumber(ARGV[at])
  local acknowledged, released
  acknowledged, at = ids_at(at + 1)
  released, at = ids_at(at)
  local counts = {}
  local mine = call('XPENDING', KEYS[index], group, '-', '+', 1000000, member)
  for i = 1, #mine do
    counts[mine[i][1]] = mine[i][4]
  end
  for _, ids in ipairs({acknowledged, released}) do
    for i = 1, #ids do
      if not counts[ids[i]] then
        gone[#gone + 1] = index
        gone[#gone + 1] = ids[i]
      end
    end
  end
  sources[s] = {KEYS[index], acknowledged, released, counts}
end
if #gone > 1 then
  return gone
end

local refused = check_runs(longest, at) or check_later(at)
if refused then
  return refused
end

for _, source in ipairs(sources) do
  local key, acknowledged, released, counts = unpack(source)
  for first = 1, #acknowledged, 1000 do
    call('XACK', key, group, unpack(acknowledged, first, math.min(first + 999, #acknowledged)))
  end
  for _, id in ipairs(released) do
    call('XCLAIM', key, group, pool, 0, id, 'RETRYCOUNT', math.max(counts[id] - 1, 0), 'JUSTID')
  end
end
at = write_runs(at)

local now = milliseconds()
local later = tonumber(ARGV[at])
at = at + 1
for _ = 1, later do
  local key, due, shape = KEYS[tonumber(ARGV[at])], now + tonumber(ARGV[at + 1]), ARGV[at + 2]
  local fields, published = {}, 0
  at = at + 3
  for j = 1, #shape do
    local name = string.sub(shape, j, j)
    fields[2 * j - 1], fields[2 * j] = name, ARGV[at]
    if name == 't' then
      published = tonumber(ARGV[at])
    end
    at = at + 1
  end
  local id = string.format('%016d', call('INCR', key .. ':delayed'))
  call('HSET', key .. ':waiting', id, cmsgpack.pack(fields))
  call('ZADD', key .. ':due', due, id)
  call('ZADD', key .. ':published', published, id)
end
call('SET', KEYS[1], token .. ' ' .. lost, 'PX', ARGV[6])
return {'OK'}
