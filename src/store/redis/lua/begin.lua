-- KEYS[1]: what holds for the whole store. ARGV: the identities of its nodes. Does nothing where it exists.
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
redis.call('HSET', KEYS[1], 'format', '1')
for _, identity in ipairs(ARGV) do
    redis.call('HSET', KEYS[1], 'node:' .. identity, '')
end
return 1
