-- Put before other scripts. A run is a number of messages of one shape for one stream:
-- index of the stream in KEYS, shape, count, then the values of each message's fields. A shape is the names of the
-- fields, one letter each: v value, k key, h headers, t publish time where it is not the entry's own, a alone.

-- An entry's id is the time and its number in the stream, counted from 1: so the distance between two ids is known
-- without counting, and survives a restart, after which the server's own count of what a group has read is wrong.

local function parts(id)
  local ms, number = string.match(id, '(%d+)-(%d+)')
  return tonumber(ms), tonumber(number)
end

local function facts(flat)
  local named = {}
  for i = 1, #flat, 2 do
    named[flat[i]] = flat[i + 1]
  end
  return named
end

local function milliseconds()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

-- The ids of the next entry of a stream and of all that follow it in this script, whose number the server finds itself.
local function ids_of_next(key, now)
  local ms, number = parts(facts(redis.call('XINFO', 'STREAM', key))['last-generated-id'])
  local time = string.format('%.0f-', math.max(ms, now))
  return time .. string.format('%.0f', number + 1), time .. '*'
end

-- What stands against writing the runs that begin at ARGV[at]: {'GONE', stream}, {'FULL', stream}, or nothing.
local function check_runs(longest, at)
  local runs = tonumber(ARGV[at])
  at = at + 1
  for _ = 1, runs do
    local key, width, count = KEYS[tonumber(ARGV[at])], #ARGV[at + 1], tonumber(ARGV[at + 2])
    if redis.call('TYPE', key).ok ~= 'stream' then
      return {'GONE', key}
    end
    if longest > 0 and redis.call('XLEN', key) + count > longest then
      return {'FULL', key}
    end
    at = at + 3 + width * count
  end
end

-- Where the runs that begin at ARGV[at] end.
local function skip_runs(at)
  local runs = tonumber(ARGV[at])
  at = at + 1
  for _ = 1, runs do
    at = at + 3 + #ARGV[at + 1] * tonumber(ARGV[at + 2])
  end
  return at
end

-- Writes the runs that begin at ARGV[at]; returns where they end.
local function write_runs(at)
  local call, runs, now = redis.call, tonumber(ARGV[at]), milliseconds()
  at = at + 1
  for _ = 1, runs do
    local key, shape, count = KEYS[tonumber(ARGV[at])], ARGV[at + 1], tonumber(ARGV[at + 2])
    local id, following = ids_of_next(key, now)
    at = at + 3
    if shape == 'v' then
      for i = at, at + count - 1 do
        call('XADD', key, id, 'v', ARGV[i])
        id = following
      end
      at = at + count
    elseif shape == 'vk' then
      for i = at, at + 2 * count - 1, 2 do
        call('XADD', key, id, 'v', ARGV[i], 'k', ARGV[i + 1])
        id = following
      end
      at = at + 2 * count
    else
      local width, fields = #shape, {}
      for _ = 1, count do
        for j = 1, width do
          fields[2 * j - 1], fields[2 * j] = string.sub(shape, j, j), ARGV[at + j - 1]
        end
        call('XADD', key, id, unpack(fields))
        id = following
        at = at + width
      end
    end
  end
  return at
end
