-- One single-instance request, posted again and again.
local file = assert(io.open(os.getenv("BENCH_BODY"), "rb"))
wrk.method = "POST"
wrk.body = file:read("*a")
wrk.headers["Content-Type"] = "application/json"
file:close()

function done(summary)
  local bad = summary.errors
  io.write(string.format('{"requests": %d, "seconds": %f, "refused": %d, "broken": %d}\n', summary.requests,
    summary.duration / 1e6, bad.status, bad.connect + bad.read + bad.write + bad.timeout))
end
