-- What wrk sends, and how it reports. With an argument: a POST with that body; without: a GET.

function init(args)
	if args[1] then
		wrk.method = "POST"
		wrk.body = args[1]
		wrk.headers["Content-Type"] = "application/json"
	end
end

function done(summary, latency)
	local errors = summary.errors
	io.write(string.format(
		'\n{"answers": %d, "seconds": %.3f, "p50": %.6f, "p99": %.6f, "refused": %d, "broken": %d}\n',
		summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e6, latency:percentile(99) / 1e6,
		errors.status, errors.connect + errors.read + errors.write + errors.timeout
	))
end
