-- What is spent of a limit in the window that runs, by this server's clock. Expects `totals`, `window` and `keep`.
local function text(amount)
  return string.format('%.0f', amount)
end

-- The windows go by this server's clock.
local time = redis.call('TIME')
local seconds = tonumber(time[1])
local micros = seconds * 1000000 + tonumber(time[2])
local now = math.floor(micros / 1000)

-- Day of the month as in Howard Hinnant's "chrono-Compatible Low-Level Date Algorithms".
local function first_of_month()
  local days = math.floor(seconds / 86400)
  local shifted = days + 719468
  local of_era = shifted % 146097
  local year = math.floor((of_era - math.floor(of_era / 1460) + math.floor(of_era / 36524)
    - math.floor(of_era / 146096)) / 365)
  local of_year = of_era - (365 * year + math.floor(year / 4) - math.floor(year / 100))
  local month = math.floor((5 * of_year + 2) / 153)
  local day = of_year - math.floor((153 * month + 2) / 5) + 1
  return (days - day + 1) * 86400
end

-- What is spent has a place for each window, or for each sixtieth of a rolling one. Old ones go.
local step = tonumber(string.match(window, '^rolling:(%d+)$'))
local place
if step then
  place = math.floor(micros / step)
elseif window == 'month' then
  place = first_of_month()
else
  place = seconds - seconds % tonumber(window)
end
local leased, spent, limit, places = 0, 0, 0, {}
local fields = redis.call('HGETALL', totals)
for i = 1, #fields, 2 do
  local at = tonumber(string.match(fields[i], '^at:(%d+)$'))
  if at then
    places[at] = tonumber(fields[i + 1])
    -- A clock that is set back refunds nothing.
    if at > place then place = at end
  elseif fields[i] == 'leased' then
    leased = tonumber(fields[i + 1])
  elseif fields[i] == 'most' then
    limit = tonumber(fields[i + 1])
  end
end
for at, amount in pairs(places) do
  if at == place or (step and at >= place - 60) then
    spent = spent + amount
  else
    redis.call('HDEL', totals, 'at:' .. text(at))
    places[at] = nil
  end
end
