-- What all changes of an account share. KEYS[1]: the account; ARGV[1]: the token's name, empty where it is the budget's.
-- What comes back: 0 refused, 1 done, 2 missing, 3 can't be read.
--
-- An account is one string, so its token and budget change together and are in one hash slot:
--   budget   when the blind bucket is full (8), when the partial one is (8), failures (4)
--   tokens   each: head (1): 16, 1 more with an outlier, 2 more with a name; name: its length (1) and bytes;
--            epoch (8), watermark (8), nonce (8), mean (8), variance (8), updated (8), outlier (8)
-- Integers are big-endian; signed ones have their sign bit flipped, a watermark is one more than its step, 0 where there is
-- none: so larger is later for all of them.
--
-- Lua's numbers are doubles, exact up to 2^53: 64 bits are compared and added as two halves. Lua's own comparison of strings
-- depends on the server's locale.
local function halves(text)
    local a, b, c, d, e, f, g, h = string.byte(text, 1, 8)
    return ((a * 256 + b) * 256 + c) * 256 + d, ((e * 256 + f) * 256 + g) * 256 + h
end

local function less(a, b)
    local a_high, a_low = halves(a)
    local b_high, b_low = halves(b)
    return a_high < b_high or (a_high == b_high and a_low < b_low)
end

local function bytes(number)
    local d = number % 256
    number = (number - d) / 256
    local c = number % 256
    number = (number - c) / 256
    local b = number % 256
    return string.char((number - b) / 256, b, c, d)
end

-- `a` is signed, `b` isn't. At most the latest time that there is.
local function add(a, b)
    local a_high, a_low = halves(a)
    local b_high, b_low = halves(b)
    local high, low = a_high + b_high, a_low + b_low
    if low >= 4294967296 then
        high, low = high + 1, low - 4294967296
    end
    if high >= 4294967296 then
        return string.rep('\255', 8)
    end
    return bytes(high) .. bytes(low)
end

local function number(text)
    local a, b, c, d = string.byte(text, 1, 4)
    return ((a * 256 + b) * 256 + c) * 256 + d
end

local BUDGET = 20
local account = redis.call('GET', KEYS[1])
local readable = not account or #account >= BUDGET
-- Where the token's record begins, where its state does, and where both end.
local from, state, till

if account then
    local at = BUDGET + 1
    while readable and not from and at <= #account do
        local head = string.byte(account, at)
        local name, body = '', at + 1
        if head >= 18 then
            local length = string.byte(account, at + 1) or 0
            name, body = string.sub(account, at + 2, at + 1 + length), at + 2 + length
        end
        local last = body + 47 + 8 * (head % 2)
        readable = head >= 16 and head <= 19 and last <= #account
        if readable and name == ARGV[1] then
            from, state, till = at, body, last
        end
        at = last + 1
    end
end

local function part(first, length)
    return string.sub(account, first, first + length - 1)
end

local function replace(first, last, text)
    return string.sub(account, 1, first - 1) .. text .. string.sub(account, last + 1)
end

-- A token's whole record, by its state.
local function record(text)
    local head = 16
    if #text > 48 then
        head = head + 1
    end
    if ARGV[1] == '' then
        return string.char(head) .. text
    end
    return string.char(head + 2, #ARGV[1]) .. ARGV[1] .. text
end

local function keep(text)
    redis.call('SET', KEYS[1], text)
end
