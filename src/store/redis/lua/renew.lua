-- ARGV: name, epoch and watermark that it was decided with, state, lineage, not_before.
if not readable then return 3 end
if not from then return 2 end
if part(state, 16) ~= ARGV[2] or not is_as_seen(ARGV[4], ARGV[5]) then return 0 end
keep(replace(from, till, record(ARGV[3])))
return 1
