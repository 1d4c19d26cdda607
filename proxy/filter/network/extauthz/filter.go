package extauthz

import (
	"time"

	"github.com/weirproxy/weir/proxy/grpc"
	"github.com/weirproxy/weir/proxy/grpc/authz"
	"github.com/weirproxy/weir/proxy/matcher"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/stats"
	"github.com/weirproxy/weir/proxy/streaminfo"
	"github.com/weirproxy/weir/proxy/upstream/async"
)

// Stats are at ext_authz.<stat_prefix>.
type Stats struct {
	Active             stats.Gauge   `stat:"active"`
	Closed             stats.Counter `stat:"cx_closed"`
	Denied             stats.Counter `stat:"denied"`
	Disabled           stats.Counter `stat:"disabled"`
	Error              stats.Counter `stat:"error"`
	FailureModeAllowed stats.Counter `stat:"failure_mode_allowed"`
	OK                 stats.Counter `stat:"ok"`
	Total              stats.Counter `stat:"total"`
}

// namespace is the filter's, in metadata and filter state.
const namespace = "envoy.filters.network.ext_authz"

type settings struct {
	service        *grpc.Service
	client         func(*network.Loop) async.Client
	allowOnFailure bool
	shadow         bool // decides nothing
	enabled        *matcher.Metadata
	namespaces     []string // of metadata that the server is told
	tell           authz.Options
	stats          *stats.Group[Stats]
}

func (s *settings) newFilter(cb *network.ReadCallbacks) network.ReadFilter {
	return &filter{s: s, cb: cb, conn: cb.Connection(), stats: s.stats.For(cb.Connection().Loop().Worker)}
}

type filter struct {
	grpc.ConnectionCall
	s     *settings
	cb    *network.ReadCallbacks
	conn  *network.Connection
	stats *Stats
	asked time.Duration
	state
}

type state uint8

const (
	notAsked state = iota
	asking
	passed
	closed
)

// OnNewConnection implements network.ReadFilter.
func (f *filter) OnNewConnection() network.FilterStatus { return network.Continue }

// OnData implements network.ReadFilter.
func (f *filter) OnData(*network.Buffer, bool) network.FilterStatus {
	if f.state == notAsked {
		if !f.on() {
			f.stats.Disabled.Inc()
			return network.Continue
		}
		f.ask()
	}
	if f.state == passed {
		return network.Continue
	}
	return network.StopIteration
}

func (f *filter) on() bool {
	if f.s.enabled == nil {
		return true
	}
	var metadata map[string]map[string]any
	if i := f.conn.Info; i != nil {
		metadata = i.Metadata
	}
	return f.s.enabled.Match(metadata)
}

func (f *filter) ask() {
	f.state, f.asked = asking, f.conn.Loop().Now()
	f.stats.Total.Inc()
	f.Ask(f.s.service, f.s.client(f.conn.Loop()), authz.CheckMethod, f.question(), f.conn, &f.stats.Active, func(response []byte, st grpc.Status) {
		m, o := authz.Read(response, st)
		f.decided(o, m.GetDynamicMetadata().AsMap())
	})
}

func (f *filter) decided(o authz.Outcome, metadata map[string]any) {
	i := f.conn.EnsureInfo()
	for key, value := range metadata {
		i.SetMetadata(namespace, key, value)
	}
	switch o {
	case authz.Allowed:
		f.stats.OK.Inc()
		if took := f.conn.Loop().Now() - f.asked; took >= time.Millisecond {
			i.SetMetadata(namespace, "ext_authz_duration", float64(took.Milliseconds()))
		}
	case authz.Denied:
		f.stats.Denied.Inc()
	default:
		f.stats.Error.Inc()
	}
	if f.s.shadow {
		i.SetFilterState(namespace, result(o))
	} else if o == authz.Denied || o == authz.Failed && !f.s.allowOnFailure {
		f.deny(o)
		return
	}
	if o == authz.Failed && !f.s.shadow {
		f.stats.FailureModeAllowed.Inc()
	}
	f.state = passed
	f.cb.ContinueReading()
}

func (f *filter) deny(o authz.Outcome) {
	f.state = closed
	f.stats.Closed.Inc()
	i := f.conn.EnsureInfo()
	i.Flags |= uint64(streaminfo.UnauthorizedExternalService)
	i.Details, i.CloseReason = "ext_authz_error", "ext_authz_close"
	if o == authz.Denied {
		i.Details = "ext_authz_denied"
	}
	f.conn.Close(network.NoFlush)
}

// result is what subsequent filters find of a decision in shadow mode.
func result(o authz.Outcome) map[string]any {
	switch o {
	case authz.Allowed:
		return map[string]any{"check_result": "OK"}
	case authz.Denied:
		return map[string]any{"check_result": "DENIED", "status_code": 403.0}
	}
	return map[string]any{"check_result": "ERROR"}
}
