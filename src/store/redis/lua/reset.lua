-- ARGV: name, top, epoch, budget.
if not readable then return 3 end
if not from then return 2 end
if less(ARGV[2], part(state + 8, 8)) then
    account = replace(state + 8, state + 15, ARGV[2])
end
account = replace(state, state + 7, ARGV[3])
keep(replace(1, BUDGET, ARGV[4]))
return 1
