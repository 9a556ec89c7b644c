-- Carries out one operation on the record of one provider: what `transition()` does in
-- fallback_exec/cooldown/operations.py, branch for branch. A test compares the two.
--
-- KEYS[1]  the provider's hash
-- ARGV[1]  the request's nonce, which is given back, so that an answer to another request is noticed
-- ARGV[2]  the time in microseconds; empty: that of the server
-- ARGV[3]  the operation's name; its fields follow in their order, numbers in decimals, booleans as 0 and 1
--
-- Returns {nonce, now, applied} and, where there is a record, its fields in the order of FIELDS; or
-- {nonce, now, "unusable"}. To write the record is the last step that can fail, so whoever gets an error knows
-- that nothing was carried out.

local FIELDS = {
  'state', 'failures', 'reopenings', 'successes', 'until', 'changed', 'era', 'version', 'token', 'lease',
}
local STALE = -1
local KEPT = 86400 * 1000000

local key = KEYS[1]
local nonce = ARGV[1]

local function argument(position)
  return ARGV[3 + position]
end

local function number(position)
  return tonumber(ARGV[3 + position])
end

local function flag(position)
  return ARGV[3 + position] == '1'
end

-- Without an exponent, which tostring() gives large numbers.
local function decimals(value)
  return string.format('%.0f', value)
end

local function clock()
  if ARGV[2] ~= '' then
    return tonumber(ARGV[2])
  end
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000000 + tonumber(time[2])
end

local function is_text(field)
  return field == 'state' or field == 'token'
end

-- The record that the flat list of a hash's fields and values holds, or nil.
local function decoded(list)
  local found = {}
  for i = 1, #list, 2 do
    found[list[i]] = list[i + 1]
  end
  local record = {}
  for _, field in ipairs(FIELDS) do
    local value = found[field]
    if not value then
      return nil
    end
    if is_text(field) then
      record[field] = value
    elseif string.find(value, '^%-?%d+$') and #value <= 17 then
      record[field] = tonumber(value)
    else
      return nil
    end
  end
  local state = record.state
  local is_state = state == 'closed' or state == 'open' or state == 'half-open'
  if not is_state or string.find(record.token, '[^%w%%._~-]') then
    return nil
  end
  return record
end

local function encoded(record)
  local list = {}
  for _, field in ipairs(FIELDS) do
    list[#list + 1] = field
    list[#list + 1] = is_text(field) and record[field] or decimals(record[field])
  end
  return list
end

local function blank()
  return {
    state = 'closed', failures = 0, reopenings = 0, successes = 0, ['until'] = 0, changed = 0, era = 0,
    version = 0, token = '', lease = 0,
  }
end

local function evolved(record, changes)
  local copy = {}
  for _, field in ipairs(FIELDS) do
    copy[field] = record[field]
  end
  for field, value in pairs(changes) do
    copy[field] = value
  end
  return copy
end

local function is_cooling(record, now)
  return record.state == 'open' and now < record['until']
end

local function is_probed(record, now)
  return record.state == 'half-open' and record.token ~= '' and now < record.lease
end

local function settled(record, now)
  local ahead = record.changed - now
  if ahead <= 0 then
    return record
  end
  return evolved(record, {
    changed = now,
    ['until'] = math.max(0, record['until'] - ahead),
    lease = math.max(0, record.lease - ahead),
    version = record.version + 1,
  })
end

local function written(record, now, changes)
  changes.version = math.max(record.version + 1, now)
  return evolved(record, changes)
end

local function moved(record, now, state, changes)
  local known = record or blank()
  local fresh = evolved(known, {
    state = state, era = math.max(known.era + 1, now), changed = now, successes = 0, ['until'] = 0,
    token = '', lease = 0,
  })
  return written(fresh, now, changes)
end

local function opened(record, now, cooldown, reopenings, failures)
  local changes = { ['until'] = now + cooldown, reopenings = reopenings, failures = failures }
  return moved(record, now, 'open', changes)
end

local function closed(record, now)
  return moved(record, now, 'closed', { reopenings = 0, failures = 0 })
end

-- Each operation returns the record that follows, nil for none, and whether it was applied.
local operations = {}

function operations.Read(record)
  return record, false
end

function operations.Claim(record, now)
  local token, lease, replaces = argument(1), now + number(2), argument(3)
  if record then
    if record.state == 'closed' or is_cooling(record, now) then
      return record, false
    end
    if is_probed(record, now) and record.token ~= replaces then
      return record, false
    end
    if record.state == 'half-open' and (record.token == '' or record.token == replaces) then
      return written(record, now, { token = token, lease = lease }), true
    end
  end
  return moved(record, now, 'half-open', { token = token, lease = lease }), true
end

function operations.Succeed(record, now)
  local era, success_threshold, token = number(1), number(2), argument(3)
  if not record or record.era ~= era then
    return record, false
  end
  if record.state == 'closed' then
    if record.failures == 0 then
      return record, false
    end
    return written(record, now, { failures = 0 }), false
  end
  local successes = record.successes + 1
  if record.state == 'half-open' and successes < success_threshold then
    local changes = { failures = 0, successes = successes }
    if token == record.token then
      changes.token, changes.lease = '', 0
    end
    return written(record, now, changes), false
  end
  return closed(record, now), false
end

function operations.Fail(record, now)
  local era, was_closed, fail_max, cooldown, reopenings = number(1), flag(2), number(3), number(4), number(5)
  local opens
  if not record then
    record = evolved(blank(), { era = era, changed = now })
    opens = not was_closed
  elseif record.era ~= era or is_cooling(record, now) then
    return record, false
  else
    opens = record.state ~= 'closed'
  end
  local failures = record.failures + 1
  if opens or failures >= fail_max then
    return opened(record, now, cooldown, reopenings, failures), true
  end
  return written(record, now, { failures = failures }), false
end

function operations.CoolDown(record, now)
  local by_hand = argument(1) == ''
  local era, cooldown, reopenings, moves_end = number(1), number(2), number(3), flag(4)
  if record and is_cooling(record, now) then
    local ends = now + cooldown
    if moves_end and (by_hand or ends > record['until']) then
      return written(record, now, { ['until'] = ends }), false
    end
    return record, false
  end
  if not by_hand and (era == STALE or (record and record.era ~= era)) then
    return record, false
  end
  local failures = (record and record.failures or 0) + (by_hand and 0 or 1)
  return opened(record, now, cooldown, reopenings, failures), true
end

function operations.Release(record, now)
  if not record or record.state ~= 'half-open' or record.token ~= argument(1) then
    return record, false
  end
  return written(record, now, { token = '', lease = 0 }), false
end

function operations.Close(record, now)
  return closed(record, now), false
end

function operations.Report(record, now)
  local era, state, state_age, remaining, reopenings = number(1), argument(2), number(3), number(4), number(5)
  local failures, failures_age, forgets = number(6), number(7), flag(8)
  local fail_max, cooldown = number(9), number(10)
  if state == '' then
    if not record then
      record = evolved(blank(), { era = era, changed = now - failures_age })
    end
    local is_stale = record.era ~= era and record.changed > now - failures_age
    if record.state ~= 'closed' or is_stale then
      return record, false
    end
    local total = failures + (forgets and 0 or record.failures)
    if total >= fail_max then
      return opened(record, now, cooldown, 0, total), true
    end
    return written(record, now, { failures = total }), false
  end
  local known = record or blank()
  if record and record.era ~= era and known.changed > now - state_age then
    local is_longer = remaining > 0 and now + remaining > known['until']
    if state == 'open' and known.state == 'open' and is_longer then
      return written(known, now, { ['until'] = now + remaining }), false
    end
    return record, false
  end
  if state == 'closed' then
    if known.state ~= 'closed' or known.failures > 0 then
      return closed(record, now), false
    end
    return record, false
  end
  if state == 'open' and is_cooling(known, now) then
    remaining = math.max(remaining, known['until'] - now)
  end
  if known.state ~= 'closed' and not is_cooling(known, now) and remaining == 0 then
    return record, false
  end
  return opened(record, now, remaining, reopenings, math.max(failures, known.failures)), false
end

-- Redis 6 may be set to replicate scripts themselves, and refuses writes after TIME then.
if redis.replicate_commands then
  redis.replicate_commands()
end

-- pcall(): what it gives back is the server's own error, whose first word says what it is; that of an error
-- raised in a script of Redis 6 does not.
local now = clock()
local list = redis.pcall('HGETALL', key)
if list.err then
  if string.find(list.err, 'WRONGTYPE', 1, true) then
    return { nonce, decimals(now), 'unusable' }
  end
  return list
end

local record = nil
local version = nil
if #list > 0 then
  record = decoded(list)
  if not record then
    return { nonce, decimals(now), 'unusable' }
  end
  version = record.version
  record = settled(record, now)
end

local following, applied = operations[ARGV[3]](record, now)

if following and following.version ~= version then
  local expires = math.max(now, following['until'], following.lease) + KEPT
  local kept = decimals(math.ceil((expires - now) / 1000))
  -- Asked before the record is written, so that none is left that never expires; Redis 6 cannot tell. The
  -- record is written first, as a server without memory refuses only the first write of a script.
  if redis.acl_check_cmd and not redis.acl_check_cmd('PEXPIRE', key, kept) then
    return redis.error_reply('NOPERM the script may not use PEXPIRE')
  end
  local stored = redis.pcall('HSET', key, unpack(encoded(following)))
  if type(stored) == 'table' then
    return stored
  end
  redis.call('PEXPIRE', key, kept)
end

local answer = { nonce, decimals(now), applied and '1' or '0' }
if following then
  for _, field in ipairs(FIELDS) do
    answer[#answer + 1] = is_text(field) and following[field] or decimals(following[field])
  end
end
return answer
