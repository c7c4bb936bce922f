-- Requests that nobody means well: broken JSON, wrong types, absurd numbers, long histories, odd
-- headers, foreign hosts, wrong methods and paths. Every answer must be below 500.
-- ITEMS names a file with one item id a line.
local items = {}
for line in io.lines(os.getenv("ITEMS")) do items[#items + 1] = line end
math.randomseed(tonumber(os.getenv("SEED") or "1"))

local function any(list) return list[math.random(#list)] end

-- Things that are no id, no time, no name.
local function rubbish()
  return any({ "null", "true", "-1", "1e999", "-0.0", "1.5", "\"\"", "\"\\u0000\"", "[]", "{}",
    "18446744073709551616", "\"" .. string.rep("x", math.random(400)) .. "\"", "NaN", "'", "\\",
    "\"\\ud800\"", "9007199254740993", "[[[[[[[[]]]]]]]]", "1e-320", "\"☃\"" })
end

local function item() return '"' .. any(items) .. '"' end

local function list(one, most)
  local values = {}
  for place = 1, math.random(0, most) do values[place] = one() end
  return "[" .. table.concat(values, ",") .. "]"
end

local function time() return tostring(math.random() * 10 ^ math.random(-5, 20)) end

local bodies = {
  function() return rubbish() end,
  function() return '{"user_id":' .. rubbish() .. ',"recent_items":[],"recent_times":[]}' end,
  function() return '{"user_id":"u","recent_items":' .. list(item, 30) .. ',"recent_times":' .. list(time, 30) .. '}' end,
  function() return '{"user_id":"u","recent_items":' .. list(rubbish, 5) .. ',"recent_times":' .. list(time, 5) .. '}' end,
  function() return '{"user_id":"u","recent_items":[' .. item() .. '],"recent_times":[' .. rubbish() .. ']}' end,
  function() return '{"user_id":"u","recent_items":[' .. item() .. '],"recent_timestamps":[' .. time() .. '],"query_time":' .. rubbish() .. '}' end,
  function() return '{"user_id":"u","recent_items":[' .. item() .. "," .. item() .. '],"recent_times":[' .. time() .. "," .. time() .. '],"count":' .. any({ "0", "1", "100", "101", "-3", "1e9" }) .. '}' end,
  function() return string.rep("[", math.random(2000)) end,
  function() return '{"user_id":"u","recent_items":[],"image_input":' .. rubbish() .. '}' end,
  function()
    -- A good body with a byte changed.
    local body = '{"user_id":"u","recent_items":[' .. item() .. '],"recent_times":[0.5]}'
    local at = math.random(#body)
    return body:sub(1, at - 1) .. string.char(math.random(0, 255)) .. body:sub(at + 1)
  end,
}

function request()
  local headers = { ["Content-Type"] = any({ "application/json", "application/json", "application/json", "text/plain", "application/json; charset=latin1" }) }
  if math.random(10) == 1 then headers["X-Demo-Mode"] = any({ "force_fast", "force_slow", "both", "", "☃" }) end
  if math.random(20) == 1 then headers["Host"] = any({ "evil.example", "127.0.0.1:1", "localhost.", "", "[::1]x" }) end
  if math.random(20) == 1 then headers["Authorization"] = any({ "Bearer x", "Basic eDp5", "Bearer" }) end
  local method = any({ "POST", "POST", "POST", "POST", "POST", "GET", "PUT", "DELETE", "OPTIONS" })
  local path = any({ "/recommend", "/recommend", "/recommend", "/feedback", "/recommend?x=%00", "/metrics", "/health", "/" .. string.rep("a", math.random(300)), "/openapi.json" })
  return wrk.format(method, path, headers, any(bodies)())
end

local seen = {}
local threads = {}
function setup(thread) table.insert(threads, thread) end
function response(status) seen[status] = (seen[status] or 0) + 1; counts = "" for code, n in pairs(seen) do counts = counts .. code .. "=" .. n .. " " end end
function done(summary)
  for _, thread in ipairs(threads) do print("statuses: " .. (thread:get("counts") or "")) end
  print("requests: " .. summary.requests)
end
