-- KEYS[2]: what holds for the whole store, where one server has all of it; in a Cluster the caller asks whoever has that.
-- Whether this is still the server, and the store still what it was, that a decision was made from: another server that took over may
-- lack what was accepted since. Its identity is drawn anew when it takes over or starts.
local function is_as_seen(lineage, not_before)
    if string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)') ~= lineage then
        return false
    end
    return not KEYS[2] or (redis.call('HGET', KEYS[2], 'not_before') or '') == not_before
end

