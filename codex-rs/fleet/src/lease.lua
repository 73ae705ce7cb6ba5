-- One report of one host about one limit, and what it may spend from here on.
--
-- KEYS, all in one cluster slot: what is spent and leased; each host's record; when each host is not believed alive.
-- A report says how things are and not what has changed, so that it may come twice: the host's record tells what is new.
-- A record: the number of the report, what the host has spent, what it has leased, what is charged if it does not come
-- back, and what was charged because it did not, with the window for that.
local totals, records, expiry = KEYS[1], KEYS[2], KEYS[3]
local window = ARGV[10]
local host, number = ARGV[1], tonumber(ARGV[2])
local host_spent, before, held, need = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local in_use, most, ttl = ARGV[7] == '1', tonumber(ARGV[8]), tonumber(ARGV[9])
local keep, strict, ahead, keeps = tonumber(ARGV[11]), ARGV[12] == '1', tonumber(ARGV[13]), tonumber(ARGV[14])

--WINDOW--
local function charge(at, amount)
  places[at] = math.max(0, (places[at] or 0) + amount)
  redis.call('HSET', totals, 'at:' .. text(at), text(places[at]))
  spent = math.max(0, spent + amount)
end

local function read(name)
  local record = redis.call('HGET', records, name)
  if not record then return nil end
  local number, spent, left, lost, charged, at =
    string.match(record, '^(%d+) (%d+) (%d+) (%d+) (%d+) (%d+)$')
  return { tonumber(number), tonumber(spent), tonumber(left), tonumber(lost), tonumber(charged), tonumber(at) }
end
local function write(name, record)
  local words = {}
  for i = 1, 6 do words[i] = text(record[i]) end
  redis.call('HSET', records, name, table.concat(words, ' '))
  local is_owed = record[3] > 0 or record[4] > 0
  redis.call('ZADD', expiry, text(now + (is_owed and ttl or keep)), name)
end

-- Hosts that have not reported in time: what they may have spent unseen is charged, the rest of their leases is free.
for _, name in ipairs(redis.call('ZRANGEBYSCORE', expiry, '-inf', text(now), 'LIMIT', '0', '100')) do
  local record = read(name)
  if record and (record[3] > 0 or record[4] > 0) then
    leased = math.max(0, leased - record[3])
    if record[4] > 0 then charge(place, record[4]) end
    write(name, { record[1], record[2], 0, 0, record[5] + record[4], place })
  else
    redis.call('HDEL', records, name)
    redis.call('ZREM', expiry, name)
  end
end

local record = read(host) or { -1, math.min(before, host_spent), 0, 0, 0, 0 }
local left, target = record[3], 0
if number > record[1] then
  local new = math.max(0, host_spent - record[2])
  local charged, charged_at = record[5], record[6]
  local paid = math.min(charged, new)
  charged = charged - paid
  -- It is alive and says what it holds: more than that was charged for nothing.
  local refund = charged - math.min(charged, held)
  if refund > 0 and places[charged_at] then charge(charged_at, -refund) end
  charged = charged - refund
  if new > paid then charge(place, new - paid) end
  -- Only the host itself knows what it has taken since it said so: what it does not keep is free, and nothing else is
  -- taken from it. What it should keep is what it is answered.
  left = math.min(math.max(0, left - new), keeps)
  leased = math.max(0, leased - (record[3] - left))
  target = need
  if in_use then
    -- A twentieth of what nobody has, and less where there are so many hosts that it would not be enough for all; what it
    -- has used of late, if that is more, but not so much that others would go without.
    local hosts = redis.call('ZCOUNT', expiry, text(now), text(now + ttl)) + 1
    local free = math.max(0, most - spent - leased + left - need)
    target = need + math.max(math.floor(free / math.max(20, 2 * hosts)), math.min(ahead, math.floor(free / (2 * hosts))))
  end
  if target > left then
    local granted = math.min(target - left, math.max(0, most - spent - leased))
    leased = leased + granted
    left = left + granted
  end
  local lost = strict and math.max(left, held) or held
  write(host, { number, math.max(host_spent, record[2]), left, lost, charged, charged_at })
end
redis.call('HSET', totals, 'leased', text(leased), 'most', text(most))
for i = 1, 3 do redis.call('PEXPIRE', KEYS[i], text(2 * keep)) end
return { micros, left, spent, math.max(0, leased - left), number > record[1] and 1 or 0, target }
