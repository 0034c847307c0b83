-- wrk script: sends the requests in a file in turn and prints the totals as JSON. Each line is METHOD PATH [BODY].
local requests, count = {}, 0

function init(args)
  for line in io.lines(args[1]) do
    local method, path, body = line:match("^(%S+) (%S+) ?(.*)$")
    local headers = body ~= "" and { ["Content-Type"] = "application/json" } or {}
    table.insert(requests, wrk.format(method, path, headers, body ~= "" and body or nil))
  end
end

function request()
  count = count + 1
  return requests[(count - 1) % #requests + 1]
end

function done(summary)
  local errors = summary.errors
  print(string.format('{"requests": %d, "microseconds": %d, "failed": %d}', summary.requests, summary.duration,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
