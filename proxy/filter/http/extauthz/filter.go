package extauthz

import (
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/weirproxy/weir/proxy/filter/http/headerrules"
	"github.com/weirproxy/weir/proxy/formatter"
	"github.com/weirproxy/weir/proxy/fraction"
	"github.com/weirproxy/weir/proxy/grpc"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/matcher"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/stats"
	"github.com/weirproxy/weir/proxy/streaminfo"
	"github.com/weirproxy/weir/proxy/upstream"
	"github.com/weirproxy/weir/proxy/upstream/async"
)

// factory is an ExtAuthz compiled.
type factory struct {
	service                        service
	client                         func(worker int) async.Client
	table                          func(worker int) *upstream.Table
	withBody                       *bodySettings // nil: bodies are not sent
	allowed, disallowed            []matcher.String
	allowOnFailure, failureHeader  bool
	clearRouteCache, validate      bool
	tlsSession, rawHeaders, ingest bool
	peerCertificate                bool
	chargeCluster                  bool
	statusOnError                  int
	maxDeniedBody                  int // bytes; 0: any
	metadata, typedMetadata        []string
	routeMetadata                  []string
	enabled                        fraction.Percent
	enabledMetadata                *matcher.Metadata
	mayDeny                        bool
	denyAtDisable                  fraction.Flag
	rules                          *headerrules.Rules
	limitResponses                 bool              // responses that the server makes too large are answered 500
	logs, logsCall                 bool              // a loggingInfo is left, and the call told there
	shadow                         bool              // nothing is refused, the decision is noted
	labels                         map[string]string // this proxy's, for the server
	routeHeaders                   []string          // those that routes look at; nil: all

	store      *stats.Store
	statPrefix string
	group      *stats.Group[Stats]
	groups     clusterGroups
	workers    []worker
}

// bodySettings are which part of the request's body the server is sent.
type bodySettings struct {
	max     uint32 // bytes
	partial bool   // what is longer is cut instead of refused
	bytes   bool   // as bytes, not as a string
}

// New implements http.FilterFactory.
func (c *factory) New(w int, cb http.FilterCallbacks) http.StreamFilter {
	return &filter{factory: c, cb: cb, client: c.client(w), stats: c.group.For(w)}
}

// filter asks about one request, and then about later ones: see Recycle.
type filter struct {
	http.PassResponseBody
	*factory
	cb     http.FilterCallbacks
	client async.Client
	stats  *Stats
	state
}

// state is what is zero when a stream begins.
type state struct {
	asked      service
	settings   *bodySettings // of this request; nil: its body is not sent
	extensions map[string]string
	body       []byte
	partial    bool
	cancel     func()
	call       *grpc.Call // over gRPC
	askedAt    time.Duration
	buffering  bool // the body is being gathered
	waiting    bool // the server is being asked
	done       bool
	destroyed  bool
	response   []change // for the response's headers
	logging    loggingInfo
}

// Recycle implements http.Recycler.
func (f *filter) Recycle() { f.state = state{} }

// OnDestroy implements http.StreamFilter.
func (f *filter) OnDestroy() {
	f.destroyed = true
	if f.cancel != nil {
		f.cancel()
		f.cancel = nil
	}
}

// DecodeHeaders implements http.DecoderFilter.
func (f *filter) DecodeHeaders(h *http.HeaderMap, end bool) http.HeadersStatus {
	f.asked, f.settings = f.service, f.withBody
	if f.applyRoute() {
		return http.HeadersContinue
	}
	if !f.isEnabled() {
		f.stats.Disabled.Inc()
		if f.mayDeny && f.denyAtDisable.On() {
			f.refuse(f.statusOnError, "", nil, "ext_authz_error")
			return http.HeadersStopIteration
		}
		return http.HeadersContinue
	}
	if end || h.Has(http.Upgrade) || h.Has(http.Protocol) {
		f.settings = nil
	}
	if f.settings != nil {
		f.buffering = true
		if !f.settings.partial {
			f.cb.SetBufferLimit(f.settings.max)
		}
		return http.HeadersStopIteration
	}
	f.ask()
	return http.HeadersStopAllAndWatermark
}

// applyRoute takes what the route says; true when nothing is to be asked.
func (f *filter) applyRoute() bool {
	s, ok := http.RouteConfig[*routeSettings](f.cb)
	if !ok {
		return false
	}
	if s.disabled {
		return true
	}
	if s.service != nil {
		f.asked = s.service
	}
	switch {
	case s.noBody:
		f.settings = nil
	case s.body != nil:
		f.settings = s.body
	}
	for _, level := range f.cb.Route().FilterConfigs(f.cb.FilterName()) {
		if l, ok := level.(*routeSettings); ok && len(l.extensions) > 0 {
			if f.extensions == nil {
				f.extensions = map[string]string{}
			}
			maps.Copy(f.extensions, l.extensions)
		}
	}
	return false
}

func (f *filter) isEnabled() bool {
	if !f.enabled.Picks(rand.Uint64()) {
		return false
	}
	return f.enabledMetadata == nil || f.enabledMetadata.Match(f.cb.StreamInfo().Metadata)
}

// DecodeData implements http.DecoderFilter.
func (f *filter) DecodeData(b *network.Buffer, end bool) http.DataStatus {
	if f.waiting {
		return http.DataStopAndWatermark
	}
	if !f.buffering {
		return http.DataContinue
	}
	full := f.settings.partial && f.buffered()+b.Len() >= int(f.settings.max)
	if !end && !full {
		return http.DataStopAndBuffer
	}
	if !full && f.buffered()+b.Len() > int(f.settings.max) && strings.HasPrefix(f.cb.StreamInfo().Protocol, "HTTP/1") {
		return http.DataStopAndBuffer // 413: in Envoy the end comes behind the bytes
	}
	f.takeBody(b)
	f.ask()
	return http.DataStopAndWatermark
}

// DecodeTrailers implements http.DecoderFilter.
func (f *filter) DecodeTrailers(*http.HeaderMap) http.TrailersStatus {
	if f.buffering {
		f.takeBody(nil)
		f.ask()
	}
	if f.waiting {
		return http.TrailersStopIteration
	}
	return http.TrailersContinue
}

func (f *filter) buffered() int {
	if b := f.cb.DecodingBuffer(); b != nil {
		return b.Len()
	}
	return 0
}

// takeBody copies what of the body is to be sent.
func (f *filter) takeBody(last *network.Buffer) {
	total := 0
	for _, b := range []*network.Buffer{f.cb.DecodingBuffer(), last} {
		if b == nil {
			continue
		}
		total += b.Len()
		for piece := range b.Pieces {
			room := int(f.settings.max) - len(f.body)
			f.body = append(f.body, piece[:min(room, len(piece))]...)
		}
	}
	f.partial = len(f.body) < total || f.settings.partial && total >= int(f.settings.max)
}

// ask sends the question.
func (f *filter) ask() {
	f.buffering, f.waiting, f.askedAt = false, true, f.cb.Loop().Now()
	f.leaveLoggingInfo()
	f.cancel = f.asked.check(f)
}

// headers yields what of the request's head the server is sent, lines of one
// name joined.
func (f *filter) headers(yield func(name, value string) bool) {
	h := f.cb.RequestHeaders()
	var seen []string
	for l := range h.All {
		if !f.sends(l) || slices.Contains(seen, l.Name) {
			continue
		}
		seen = append(seen, l.Name)
		value, _ := h.Joined(l.Name)
		if !yield(l.Name, value) {
			return
		}
	}
	if f.settings != nil {
		partial := "false"
		if f.partial {
			partial = "true"
		}
		yield("x-envoy-auth-partial-body", partial)
	}
}

// sends tells whether the server is sent a header.
func (f *filter) sends(l *http.Header) bool {
	if l.Name == "x-envoy-auth-partial-body" && f.settings != nil || matches(f.disallowed, l.Name) {
		return false
	}
	if f.asked.http() {
		switch l.ID {
		case http.Method, http.Path, http.Authority, http.Authorization:
			return true
		}
		return matches(f.factory.allowed, l.Name)
	}
	return len(f.factory.allowed) == 0 || matches(f.factory.allowed, l.Name)
}

// refuse answers the request.
func (f *filter) refuse(status int, body string, headers []change, details string) {
	f.done = true
	f.cb.StreamInfo().SetFlag(streaminfo.UnauthorizedExternalService)
	f.cb.SendLocalReply(status, body, func(h *http.HeaderMap) {
		for _, c := range headers {
			h.RemoveName(c.name)
		}
		for _, c := range headers {
			h.AddJoined(h.Own(c.name), h.Own(c.value))
		}
		h.SetInt(http.Status, int64(status))
	}, http.NoGrpcStatus, details)
}

// EncodeHeaders implements http.EncoderFilter.
func (f *filter) EncodeHeaders(h *http.HeaderMap, _ bool) http.HeadersStatus {
	for _, c := range f.response {
		applyChange(h, c)
	}
	if f.limitResponses && len(f.response) > 0 && h.OverLimits() {
		f.stats.ResponseHeaderLimits.Inc()
		f.response = nil // none of them go with the answer
		f.refuse(500, "", nil, "ext_authz_invalid")
		return http.HeadersStopIteration
	}
	return http.HeadersContinue
}

func (f *filter) formatContext() *formatter.Context {
	c := formatter.OfRequest(f.cb)
	return &c
}

// later gives a verdict in a later turn.
func (f *filter) later(v *verdict) {
	cancelled := false
	f.cancel = func() { cancelled = true }
	f.cb.Loop().Post(func() {
		if !cancelled {
			f.onVerdict(v)
		}
	})
}

var (
	_ http.DecoderFilter = (*filter)(nil)
	_ http.EncoderFilter = (*filter)(nil)
	_ http.Recycler      = (*filter)(nil)
)
