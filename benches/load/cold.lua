-- Every request is a new user with a history of ten items: nothing comes from a cache or a state.
-- ITEMS names a file with one item id a line.
local items = {}
for line in io.lines(os.getenv("ITEMS")) do items[#items + 1] = line end

local asked = 0
-- Another run must not ask what this one asked: its answers may be in the cache.
local run = os.time()
function init() math.randomseed(run) end

function request()
  asked = asked + 1
  local ids, times, now = {}, {}, 0
  for place = 1, 10 do
    ids[place] = '"' .. items[math.random(#items)] .. '"'
    now = now + math.random() * 0.3
    times[place] = string.format("%.4f", now)
  end
  local body = string.format('{"user_id":"cold-%d-%d","recent_items":[%s],"recent_times":[%s]}',
    run, asked, table.concat(ids, ","), table.concat(times, ","))
  return wrk.format("POST", "/recommend", { ["Content-Type"] = "application/json" }, body)
end

