-- ARGV: name. The budget stays.
if not readable then return 3 end
if not from then return 2 end
keep(replace(from, till, ''))
return 1
