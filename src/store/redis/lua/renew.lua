-- ARGV: name, epoch and watermark that it was decided with, state.
if not readable then return 3 end
if not from then return 2 end
if part(state, 16) ~= ARGV[2] then return 0 end
keep(replace(from, till, record(ARGV[3])))
return 1
