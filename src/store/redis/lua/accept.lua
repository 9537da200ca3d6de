-- ARGV: name, first, step, epoch, nonce, drift, limit of failures, whether its user is let in, lineage, not_before.
if not readable then return 3 end
if not from then return 2 end
if part(state, 8) ~= ARGV[4] or not less(part(state + 8, 8), ARGV[2]) or number(part(17, 4)) >= number(ARGV[7])
    or not is_as_seen(ARGV[9], ARGV[10]) then
    return 0
end
account = replace(from, till, record(ARGV[4] .. ARGV[3] .. ARGV[5] .. ARGV[6]))
if ARGV[8] == '1' then
    account = replace(17, 20, bytes(0))
end
keep(account)
return 1
