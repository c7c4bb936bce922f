-- One user who asks the same for ever: every answer but the first comes from the cache.
-- ITEMS names a file with one item id a line.
local ids, times = {}, {}
for line in io.lines(os.getenv("ITEMS")) do
  if #ids < 10 then
    ids[#ids + 1] = '"' .. line .. '"'
    times[#times + 1] = string.format("%.1f", 0.1 * #ids)
  end
end

wrk.method = "POST"
wrk.path = "/recommend"
wrk.headers["Content-Type"] = "application/json"
wrk.body = string.format('{"user_id":"cached","recent_items":[%s],"recent_times":[%s]}',
  table.concat(ids, ","), table.concat(times, ","))
