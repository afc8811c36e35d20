-- Arguments after "--": method, length of the body, and "unique" for requests of which no two are alike. Prints one line
-- that the driver reads.
local count = 0
local run = 0

-- Seven fields, as a client that has a session and a cached copy sends them.
local function unique_request()
   count = count + 1
   local id = string.format("%08x%06x", run, count)
   return "GET /caf%C3%A9/" .. id .. "?q=salt%20%26%20pepper&page=" .. count .. " HTTP/1.1\r\n"
      .. "Host: " .. wrk.headers["Host"] .. "\r\n"
      .. "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0\r\n"
      .. "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n"
      .. "Accept-Language: en-US,en;q=0.5\r\n"
      .. "Accept-Encoding: gzip, deflate, br, zstd\r\n"
      .. "Cookie: theme=dark; session=" .. id .. "\r\n"
      .. "If-None-Match: \"" .. id .. "\"\r\n\r\n"
end

function init(args)
   if args[1] then
      wrk.method = args[1]
   end
   if args[2] and tonumber(args[2]) > 0 then
      wrk.body = string.rep("x", tonumber(args[2]))
      wrk.headers["Content-Type"] = "application/octet-stream"
   end
   if args[3] == "unique" then
      run = os.time()
      request = unique_request
   end
end

function done(summary, latency, requests)
   io.write(string.format(
      "RESULT requests=%d microseconds=%d bytes=%d p50=%d p99=%d connect=%d read=%d write=%d timeout=%d status=%d\n",
      summary.requests, summary.duration, summary.bytes, latency:percentile(50), latency:percentile(99),
      summary.errors.connect, summary.errors.read, summary.errors.write, summary.errors.timeout, summary.errors.status))
end
