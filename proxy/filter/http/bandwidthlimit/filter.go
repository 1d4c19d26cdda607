package bandwidthlimit

import (
	"time"

	"github.com/weirproxy/weir/proxy/fraction"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/stats"
	"github.com/weirproxy/weir/proxy/tokenbucket"
)

// Stats are at <stat_prefix>.http_bandwidth_limit.
type Stats struct {
	Request  DirectionStats `stat:"request_"`
	Response DirectionStats `stat:"response_"`
}

// DirectionStats are those of requests or of responses. Sizes are in bytes of
// the latest piece, durations in milliseconds.
type DirectionStats struct {
	Enabled           stats.Counter   `stat:"enabled"`
	Enforced          stats.Counter   `stat:"enforced"`
	Pending           stats.Gauge     `stat:"pending"`
	IncomingSize      stats.Gauge     `stat:"incoming_size"`
	IncomingTotalSize stats.Counter   `stat:"incoming_total_size"`
	AllowedSize       stats.Gauge     `stat:"allowed_size"`
	AllowedTotalSize  stats.Counter   `stat:"allowed_total_size"`
	TransferDuration  stats.Histogram `stat:"transfer_duration"`
}

// settings are a filter's, or those that a route has instead. It is the
// throttle.Rate of all its messages.
type settings struct {
	request, response bool // which are limited
	bucket            *tokenbucket.Bucket
	interval          time.Duration
	enabled           fraction.Flag
	trailers          *trailerNames // nil: none are added
	stats             *stats.Group[Stats]
}

// Take implements throttle.Rate.
func (s *settings) Take(want int) int { return int(s.bucket.TakeSome(uint64(want))) }

// Next implements throttle.Rate.
func (s *settings) Next() time.Duration { return s.interval }

// Close ends the statistics.
func (s *settings) Close() { s.stats.Close() }

type factory struct{ settings *settings }

// New implements http.FilterFactory.
func (f *factory) New(_ int, cb http.FilterCallbacks) http.StreamFilter {
	return &filter{cb: cb, own: f.settings}
}

// Close ends the statistics.
func (f *factory) Close() { f.settings.Close() }

type filter struct {
	cb  http.FilterCallbacks
	own *settings
	state
}

type state struct {
	request, response *direction      // nil: not limited
	names             *trailerNames   // nil: no trailers are added
	trailers          *http.HeaderMap // the response's, once it has some
}

// DecodeHeaders implements http.DecoderFilter.
func (f *filter) DecodeHeaders(*http.HeaderMap, bool) http.HeadersStatus {
	s, ok := http.RouteConfig[*settings](f.cb)
	if !ok {
		s = f.own
	}
	if !s.enabled.On() {
		return http.HeadersContinue
	}
	st := s.stats.For(f.cb.Worker())
	if s.request {
		f.request = newDirection(f.cb, s, &st.Request, requestSide{f.cb})
	}
	if s.response {
		f.response = newDirection(f.cb, s, &st.Response, responseSide{f.cb})
		if f.names = s.trailers; f.names != nil {
			f.response.beforeTheEnd = f.tell
		}
	}
	return http.HeadersContinue
}

// DecodeData implements http.DecoderFilter.
func (f *filter) DecodeData(b *network.Buffer, end bool) http.DataStatus {
	if f.request == nil {
		return http.DataContinue
	}
	f.request.write(b, end)
	return http.DataStopNoBuffer
}

// DecodeTrailers implements http.DecoderFilter.
func (f *filter) DecodeTrailers(*http.HeaderMap) http.TrailersStatus {
	if f.request == nil || f.request.trailers() {
		return http.TrailersContinue
	}
	return http.TrailersStopIteration
}

// EncodeHeaders implements http.EncoderFilter.
func (f *filter) EncodeHeaders(*http.HeaderMap, bool) http.HeadersStatus { return http.HeadersContinue }

// EncodeData implements http.EncoderFilter.
func (f *filter) EncodeData(b *network.Buffer, end bool) http.DataStatus {
	if f.response == nil {
		return http.DataContinue
	}
	if end && f.names != nil {
		f.trailers = f.cb.AddEncodedTrailers()
	}
	f.response.write(b, end)
	return http.DataStopNoBuffer
}

// EncodeTrailers implements http.EncoderFilter.
func (f *filter) EncodeTrailers(t *http.HeaderMap) http.TrailersStatus {
	f.trailers = t
	if f.response == nil || f.response.trailers() {
		return http.TrailersContinue
	}
	return http.TrailersStopIteration
}

// OnDestroy implements http.StreamFilter.
func (f *filter) OnDestroy() {
	for _, d := range []*direction{f.request, f.response} {
		if d != nil {
			d.stop()
		}
	}
}

// Recycle implements http.Recycler.
func (f *filter) Recycle() { f.state = state{} }
