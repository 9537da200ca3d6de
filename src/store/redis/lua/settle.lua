-- KEYS[1]: what holds for the whole store. ARGV: a moment, 8 bytes as in an account; how many identities of nodes are known from
-- now on, and these; then, if any, the identities that all nodes have now: what is known besides is forgotten, also of the former.
local function later(a, b)
    for at = 1, 8 do
        local x, y = string.byte(a, at), string.byte(b, at)
        if x ~= y then return x > y end
    end
    return false
end

local moment = redis.call('HGET', KEYS[1], 'not_before')
if not moment or later(ARGV[1], moment) then
    redis.call('HSET', KEYS[1], 'not_before', ARGV[1])
end
redis.call('HSET', KEYS[1], 'format', '1')
local known = tonumber(ARGV[2])
for at = 3, known + 2 do
    redis.call('HSET', KEYS[1], 'node:' .. ARGV[at], '')
end
if #ARGV > known + 2 then
    local present = {}
    for at = known + 3, #ARGV do
        present['node:' .. ARGV[at]] = true
    end
    for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
        if string.sub(field, 1, 5) == 'node:' and not present[field] then
            redis.call('HDEL', KEYS[1], field)
        end
    end
end
return 1
