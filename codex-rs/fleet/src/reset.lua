-- Forgets what is spent of a limit, and not what is leased. KEYS as those of a report; ARGV: the window.
local totals, window = KEYS[1], ARGV[1]
--WINDOW--
for at in pairs(places) do
  redis.call('HDEL', totals, 'at:' .. text(at))
end
return spent
