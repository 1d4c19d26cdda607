package localratelimit

import (
	"github.com/weirproxy/weir/proxy/fraction"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/stats"
	"github.com/weirproxy/weir/proxy/streaminfo"
	"github.com/weirproxy/weir/proxy/tokenbucket"
)

// Stats are at local_rate_limit.<stat_prefix>.
type Stats struct {
	RateLimited stats.Counter `stat:"rate_limited"`
}

type settings struct {
	enabled fraction.Flag
	bucket  *tokenbucket.Bucket
	stats   *stats.Group[Stats]
}

func (s *settings) newFilter(cb *network.ReadCallbacks) network.ReadFilter {
	return &filter{s, cb.Connection()}
}

type filter struct {
	s    *settings
	conn *network.Connection
}

// OnNewConnection implements network.ReadFilter.
func (f *filter) OnNewConnection() network.FilterStatus {
	if !f.s.enabled.On() || f.s.bucket.Take(1) {
		return network.Continue
	}
	f.s.stats.For(f.conn.Loop().Worker).RateLimited.Inc()
	i := f.conn.EnsureInfo()
	i.Flags |= uint64(streaminfo.UpstreamRetryLimitExceeded)
	i.CloseReason = "local_ratelimit_close_over_limit"
	f.conn.Close(network.NoFlush)
	return network.StopIteration
}

// OnData implements network.ReadFilter.
func (*filter) OnData(*network.Buffer, bool) network.FilterStatus { return network.Continue }
