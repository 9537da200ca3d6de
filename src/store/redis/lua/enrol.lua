-- ARGV: name, state, budget.
if not readable then return 3 end
if from then return 0 end
keep((account or ARGV[3]) .. record(ARGV[2]))
return 1
