-- ARGV: name, where in the account its bucket is, from, cost, burn, epoch. Comes back with when the bucket is full then.
if not readable then return 3 end
if not from then return 2 end
if part(state, 8) == ARGV[6] and less(part(state + 8, 8), ARGV[5]) then
    account = replace(state + 8, state + 15, ARGV[5])
end
local bucket = tonumber(ARGV[2])
local full_at = part(bucket, 8)
if less(full_at, ARGV[3]) then
    full_at = ARGV[3]
end
full_at = add(full_at, ARGV[4])
account = replace(bucket, bucket + 7, full_at)
local failures = math.min(number(part(17, 4)) + 1, 4294967295)
account = replace(17, 20, bytes(failures))
keep(account)
return full_at
