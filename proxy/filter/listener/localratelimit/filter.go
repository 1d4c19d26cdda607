package localratelimit

import (
	"github.com/weirproxy/weir/proxy/fraction"
	"github.com/weirproxy/weir/proxy/listener"
	"github.com/weirproxy/weir/proxy/stats"
	"github.com/weirproxy/weir/proxy/tokenbucket"
)

// Stats are at listener_local_ratelimit.<stat_prefix>.
type Stats struct {
	RateLimited stats.Counter `stat:"rate_limited"`
}

type filter struct {
	enabled fraction.Flag
	bucket  *tokenbucket.Bucket
	stats   *stats.Group[Stats]
}

// Inspect implements listener.Filter.
func (f *filter) Inspect(s *listener.Socket) listener.Status {
	if !f.enabled.On() || f.bucket.Take(1) {
		return listener.Continue
	}
	f.stats.For(s.Loop().Worker).RateLimited.Inc()
	return listener.Close
}
