#!lua flags=allow-oom
-- Deletes what every group has settled and the topic's retention has let go; never anything that is unsettled.
-- KEYS: streams. ARGV: for each stream how many milliseconds it keeps what is settled.
-- Consumers without entries that were silent for an hour are forgotten: their names would pile up for ever.
local call = redis.call
local now, deleted = milliseconds(), 0
for index, key in ipairs(KEYS) do
  local groups = redis.pcall('XINFO', 'GROUPS', key)
  if not groups.err then
    local ms, number = now - tonumber(ARGV[index]), 0
    for _, flat in ipairs(groups) do
      local group = facts(flat)
      local its_ms, its_number
      if group['pending'] > 0 then
        its_ms, its_number = parts(call('XPENDING', key, group['name'])[2])
      else
        its_ms, its_number = parts(group['last-delivered-id'])
        its_number = its_number + 1
      end
      if its_ms < ms or (its_ms == ms and its_number < number) then
        ms, number = its_ms, its_number
      end
      for _, its in ipairs(call('XINFO', 'CONSUMERS', key, group['name'])) do
        local consumer = facts(its)
        if consumer['pending'] == 0 and consumer['idle'] > 3600000 then
          call('XGROUP', 'DELCONSUMER', key, group['name'], consumer['name'])
        end
      end
    end
    local bound = string.format('%.0f-%.0f', ms, number)
    local some = call('XTRIM', key, 'MINID', '~', bound, 'LIMIT', 20000)
    -- Whole nodes go cheaply and a few at a time; what is left of the last one goes once they are gone.
    if some < 10000 then
      some = some + call('XTRIM', key, 'MINID', '=', bound)
    end
    deleted = deleted + some
  end
end
return deleted
