-- ARGV: name, budget.
if not readable then return 3 end
if not from then return 2 end
keep(replace(1, BUDGET, ARGV[2]))
return 1
