"""The scripts of the Redis engine: each is one step that no other client sees a half of.

The n-th event of a partition has the id ``n-0`` in its stream, so a cursor is a number, and the number
of waiting events is a difference. All times are those of the broker. The fields of a group, one hash for
each partition:

cursor    the number of the last finished event
token     grows with each claim: a worker with an older token has lost the partition (fencing)
owner     the worker that claimed it last
until     when the claim is over, in milliseconds
due       nobody may claim the partition before then (back-off)
head      the first event that the last claim has not finished, and for it:
claims    the number of claims in which it was the first
failures  the number of those whose handler has raised

Without memory (``maxmemory``) Redis refuses the first write of a script if it may need memory, and no later
one. So the scripts of workers begin with the removal of a field that is not there: what they do makes room.
"""

from __future__ import annotations

__all__ = ["ADD", "CLAIM", "FINISH", "JOIN", "PROBE", "RELEASE", "RENEW", "RETRY_LETTERS"]

_NOW = """
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
"""

JOIN = """
-- ARGV: base, group, partitions: a new group begins with the oldest event that is still there
redis.call('HDEL', ARGV[1] .. ':0:meta', '-')
redis.call('SADD', ARGV[1] .. ':groups', ARGV[2])
for p = 0, ARGV[3] - 1 do
  local stream = ARGV[1] .. ':' .. p
  local g = stream .. ':group:' .. ARGV[2]
  if redis.call('HEXISTS', g, 'cursor') == 0 then
    local added = tonumber(redis.call('HGET', stream .. ':meta', 'added') or 0)
    redis.call('HSET', g, 'cursor', added - redis.call('XLEN', stream))
  end
end
return 1
"""

ADD = """
-- KEYS: stream, meta, seen; ARGV: id, body, limit, seconds to know the id, channel, 1: also without memory
-- First: a repetition is none, also when there is no room.
if redis.call('EXISTS', KEYS[3]) == 1 then return 0 end
if redis.call('XLEN', KEYS[1]) >= tonumber(ARGV[3]) then return -1 end
if ARGV[6] == '1' then redis.call('HDEL', KEYS[2], '-') end
local n = redis.call('HINCRBY', KEYS[2], 'added', 1)
local t = redis.call('TIME')
redis.call('XADD', KEYS[1], n .. '-0', 'body', ARGV[2], 'at', t[1])
if tonumber(ARGV[4]) > 0 then redis.call('SET', KEYS[3], '1', 'EX', ARGV[4]) end
redis.call('PUBLISH', ARGV[5], '1')
return 1
"""
"""Add an event unless its id is known; 1 added, 0 known, -1 no room."""

CLAIM = (
    """
-- ARGV: base, group, partitions, first partition to look at, owner, lease in ms, batch
local base, group, count = ARGV[1], ARGV[2], tonumber(ARGV[3])
"""
    + _NOW
    + """
local soonest = -1
for i = 0, count - 1 do
  local p = (ARGV[4] + i) % count
  local g = base .. ':' .. p .. ':group:' .. group
  local stream = base .. ':' .. p
  local added = tonumber(redis.call('HGET', stream .. ':meta', 'added') or 0)
  local v = redis.call('HMGET', g, 'cursor', 'token', 'until', 'due', 'head', 'claims', 'failures')
  local cursor = tonumber(v[1] or 0)
  if added > cursor then
    local free = math.max(tonumber(v[3] or 0), tonumber(v[4] or 0))
    if free <= now then
      local entries = redis.call('XRANGE', stream, (cursor + 1) .. '-0', '+', 'COUNT', ARGV[7])
      if #entries > 0 then
        local head = entries[1][1]
        -- The counts are those of one event: another one in front begins without any.
        local claims, failures = 1, 0
        if head == v[5] then claims, failures = v[6] + 1, tonumber(v[7] or 0) end
        -- The worker before, if it still runs, finds that its token is too old.
        local token = (v[2] or 0) + 1
        redis.call('HDEL', g, '-')
        redis.call('HSET', g, 'cursor', cursor, 'token', token, 'owner', ARGV[5],
          'until', now + ARGV[6], 'due', 0, 'head', head, 'claims', claims, 'failures', failures)
        return {p, token, failures, claims - 1 - failures, entries}
      end
    elseif soonest < 0 or free - now < soonest then
      soonest = free - now
    end
  end
end
return {-1, soonest}
"""
)
"""Claim the first partition that nobody has and where something waits; else say when the next is free."""

FINISH = (
    """
-- ARGV: base, group, partition, token, number of the event, lease in ms (0: the claim is over), dead hash,
--       id of the letter or '', letter
local stream = ARGV[1] .. ':' .. ARGV[3]
local g = stream .. ':group:' .. ARGV[2]
local n = tonumber(ARGV[5])
local v = redis.call('HMGET', g, 'token', 'cursor')
if v[1] ~= ARGV[4] then return 0 end
"""
    + _NOW
    + """
-- A repeated call, whose answer was lost, finds the cursor there already.
redis.call('HDEL', g, '-')
if tonumber(v[2]) < n then
  if ARGV[8] ~= '' then redis.call('HSET', ARGV[7], ARGV[8], ARGV[9]) end
  -- A claim that goes on begins the next event now: if the worker is killed, that one is repeated.
  local head = ''
  if ARGV[6] ~= '0' then head = (n + 1) .. '-0' end
  redis.call('HSET', g, 'cursor', n, 'head', head, 'claims', 1, 'failures', 0)
  -- An event stays until the slowest group has handled it.
  local least = n
  for _, other in ipairs(redis.call('SMEMBERS', ARGV[1] .. ':groups')) do
    local cursor = tonumber(redis.call('HGET', stream .. ':group:' .. other, 'cursor') or 0)
    if cursor < least then least = cursor end
  end
  redis.call('XTRIM', stream, 'MINID', (least + 1) .. '-0')
end
if ARGV[6] == '0' then redis.call('HSET', g, 'until', 0)
else redis.call('HSET', g, 'until', now + ARGV[6]) end
return 1
"""
)
"""Finish the next event of a claim; 0: the claim is lost. A repeated call changes nothing."""

RENEW = (
    """
-- ARGV: group hash, token, lease in ms
if redis.call('HGET', ARGV[1], 'token') ~= ARGV[2] then return 0 end
"""
    + _NOW
    + """
redis.call('HDEL', ARGV[1], '-')
redis.call('HSET', ARGV[1], 'until', now + ARGV[3])
return 1
"""
)

RELEASE = (
    """
-- ARGV: group hash, token, ms until somebody may claim it, 1 after a failure; 0: there was no attempt
if redis.call('HGET', ARGV[1], 'token') ~= ARGV[2] then return 0 end
-- Released before: a repeated call must count no second failure.
if redis.call('HGET', ARGV[1], 'until') == '0' then return 1 end
"""
    + _NOW
    + """
redis.call('HDEL', ARGV[1], '-')
redis.call('HSET', ARGV[1], 'until', 0, 'due', now + ARGV[3])
if ARGV[4] == '0' then redis.call('HINCRBY', ARGV[1], 'claims', -1)
else redis.call('HINCRBY', ARGV[1], 'failures', ARGV[4]) end
return 1
"""
)

PROBE = """
-- KEYS: a key that nothing else has
redis.call('SET', KEYS[1], '1')
redis.call('DEL', KEYS[1])
return 1
"""
"""Write as an added event does, and leave nothing."""

RETRY_LETTERS = """
-- KEYS: dead hash; ARGV: id, base, partition, group and body of each
-- All are looked for before the first is moved, as a script that fails half-way is not taken back.
for i = 1, #ARGV, 5 do
  if redis.call('HEXISTS', KEYS[1], ARGV[i]) == 0 then return ARGV[i] end
end
local t = redis.call('TIME')
for i = 1, #ARGV, 5 do
  local stream = ARGV[i + 1] .. ':' .. ARGV[i + 2]
  local n = redis.call('HINCRBY', stream .. ':meta', 'added', 1)
  redis.call('XADD', stream, n .. '-0', 'body', ARGV[i + 4], 'at', t[1], 'only', ARGV[i + 3])
  redis.call('HDEL', KEYS[1], ARGV[i])
  redis.call('PUBLISH', ARGV[i + 1] .. ':added', '1')
end
return ''
"""
"""Put letters back for their group alone, all or none; the id of one that is not there, or ''."""
