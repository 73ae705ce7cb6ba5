-- What is spent and leased of a limit, and by how many hosts. KEYS as those of a report; ARGV: the window.
local totals, expiry, window = KEYS[1], KEYS[3], ARGV[1]
--WINDOW--
-- A host that is believed alive has a lease, or has reported within the hour that records are kept at least.
local records = redis.call('HLEN', KEYS[2])
return { spent, leased, limit, records }
