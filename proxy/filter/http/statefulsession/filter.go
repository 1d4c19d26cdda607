package statefulsession

import (
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/stats"
	"github.com/weirproxy/weir/proxy/streaminfo"
)

// Stats are at http.<stat_prefix>.stateful_session.<the filter's>., those of a
// route at stateful_session.<its>.; there are none without a stat_prefix.
type Stats struct {
	Routed       stats.Counter `stat:"routed"`
	FailedOpen   stats.Counter `stat:"failed_open"`
	FailedClosed stats.Counter `stat:"failed_closed"`
	NoSession    stats.Counter `stat:"no_session"`
}

// state is how a session's host is kept.
type state interface {
	// read finds the host's address in a request; found is false when there
	// is none. ok is false when the request is not of this state's sessions.
	read(h *http.HeaderMap, now int64) (address string, found, ok bool)
	// write has the client keep the address, if that is needed: was is the one
	// that it had, "" for none. It tells whether the host has changed.
	write(h *http.HeaderMap, address, was string, had bool, now int64) (changed bool)
}

// settings are a StatefulSession compiled.
type settings struct {
	disabled bool
	state    state // nil: no sessions
	strict   bool
	status   int
	group    *stats.Group[Stats] // nil: no statistics
}

// Close ends the statistics.
func (s *settings) Close() {
	if s.group != nil {
		s.group.Close()
	}
}

// New implements http.FilterFactory.
func (s *settings) New(_ int, cb http.FilterCallbacks) http.StreamFilter {
	return &filter{cb: cb, own: s}
}

// filter serves one request, and then later ones: see Recycle.
type filter struct {
	http.PassRequestBody
	http.PassResponseBody
	cb  http.FilterCallbacks
	own *settings
	session
}

// session is what is zero when a stream begins.
type session struct {
	*settings        // nil when the filter does nothing
	in        bool   // the request may have a session
	had       bool   // it names a host
	address   string // the host's
}

// Recycle implements http.Recycler.
func (f *filter) Recycle() { f.session = session{} }

// OnDestroy implements http.StreamFilter.
func (*filter) OnDestroy() {}

// DecodeHeaders implements http.DecoderFilter.
func (f *filter) DecodeHeaders(h *http.HeaderMap, _ bool) http.HeadersStatus {
	f.settings = f.own
	if r, ok := http.RouteConfig[*settings](f.cb); ok {
		f.settings = r
	}
	if f.disabled {
		f.settings = nil
		return http.HeadersContinue
	}
	if f.state == nil {
		return http.HeadersContinue
	}
	f.address, f.had, f.in = f.state.read(h, f.now())
	if f.address != "" {
		info := f.cb.StreamInfo()
		info.OverrideHost, info.OverrideStrict, info.OverrideStatus = f.address, f.strict, f.status
	}
	return http.HeadersContinue
}

// now is the time in seconds since 1970.
func (f *filter) now() int64 { return f.cb.Loop().Time().Unix() }

// EncodeHeaders implements http.EncoderFilter.
func (f *filter) EncodeHeaders(h *http.HeaderMap, _ bool) http.HeadersStatus {
	if f.settings == nil {
		return http.HeadersContinue
	}
	info := f.cb.StreamInfo()
	reached := info.UpstreamHost.IsSet()
	switch {
	case !f.in && reached:
		f.count(func(s *Stats) { s.NoSession.Inc() })
	case !f.in:
	case !reached:
		if f.strict && info.Flags&streaminfo.NoHealthyUpstream != 0 {
			f.count(func(s *Stats) { s.FailedClosed.Inc() })
		}
	case !f.state.write(h, info.UpstreamHost.String(), f.address, f.had, f.now()):
		f.count(func(s *Stats) { s.Routed.Inc() })
	case !f.strict:
		f.count(func(s *Stats) { s.FailedOpen.Inc() })
	}
	return http.HeadersContinue
}

func (f *filter) count(add func(*Stats)) {
	if f.group != nil {
		add(f.group.For(f.cb.Worker()))
	}
}

var (
	_ http.DecoderFilter = (*filter)(nil)
	_ http.EncoderFilter = (*filter)(nil)
	_ http.Recycler      = (*filter)(nil)
)
