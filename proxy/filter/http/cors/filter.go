package cors

import (
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/stats"
)

// Stats are at http.<stat_prefix>.cors.
type Stats struct {
	OriginInvalid stats.Counter `stat:"origin_invalid"`
	OriginValid   stats.Counter `stat:"origin_valid"`
}

type factory struct{ group *stats.Group[Stats] }

// New implements http.FilterFactory.
func (f *factory) New(w int, cb http.FilterCallbacks) http.StreamFilter {
	return &filter{cb: cb.(http.RouterCallbacks), stats: f.group.For(w)}
}

// Close ends the statistics.
func (f *factory) Close() { f.group.Close() }

type filter struct {
	http.PassRequestBody
	http.PassResponseBody
	cb    http.RouterCallbacks // preflights are answered from here
	stats *Stats
	state
}

type state struct {
	policies policies
	origin   string // of an allowed cross-origin request, "" otherwise
}

// DecodeHeaders implements http.DecoderFilter.
func (f *filter) DecodeHeaders(h *http.HeaderMap, _ bool) http.HeadersStatus {
	origin := h.Get(http.Origin)
	if origin == "" {
		return http.HeadersContinue
	}
	f.policies = policiesOf(f.cb.Route(), f.cb.FilterName())
	ps := &f.policies
	enforced := ps.enforced()
	if !enforced && !ps.shadowed() {
		return http.HeadersContinue
	}
	method, _ := h.GetName("access-control-request-method")
	preflight := h.Get(http.Method) == "OPTIONS" && method != ""
	if !ps.allows(origin) {
		f.stats.OriginInvalid.Inc()
		if enforced && preflight && !ps.flag(forwardOthers, true) {
			f.answerPreflight(h)
			return http.HeadersStopIteration
		}
		return http.HeadersContinue
	}
	f.stats.OriginValid.Inc()
	if !enforced {
		return http.HeadersContinue
	}
	f.origin = origin
	if !preflight {
		return http.HeadersContinue
	}
	f.answerPreflight(h)
	return http.HeadersStopIteration
}

// answerPreflight ends a preflight here; an origin that is not allowed is
// told all but that it is.
func (f *filter) answerPreflight(h *http.HeaderMap) {
	ps, r := &f.policies, f.cb.NewResponse()
	r.Add(http.Status, "200")
	set(r, "access-control-allow-origin", f.origin)
	if ps.flag(allowCredentials, false) {
		r.AddName("access-control-allow-credentials", "true")
	}
	allow(r, "access-control-allow-methods", ps.text(allowMethods), h, "access-control-request-method")
	allow(r, "access-control-allow-headers", ps.text(allowHeaders), h, "access-control-request-headers")
	set(r, "access-control-max-age", ps.text(maxAge))
	if private, _ := h.GetName("access-control-request-private-network"); private == "true" && ps.flag(allowPrivateNetwork, false) {
		r.AddName("access-control-allow-private-network", "true")
	}
	f.cb.EncodeHeaders(r, true, "cors_response")
}

// allow sets what is allowed; all is what is asked for.
func allow(r *http.HeaderMap, name, value string, h *http.HeaderMap, asked string) {
	if value == "*" {
		asks, _ := h.GetName(asked)
		r.SetName(name, r.Own(asks))
		return
	}
	set(r, name, value)
}

func set(h *http.HeaderMap, name, value string) {
	if value != "" {
		h.SetName(name, value)
	}
}

// EncodeHeaders implements http.EncoderFilter.
func (f *filter) EncodeHeaders(h *http.HeaderMap, _ bool) http.HeadersStatus {
	if f.origin == "" {
		return http.HeadersContinue
	}
	h.SetName("access-control-allow-origin", f.origin)
	if f.policies.flag(allowCredentials, false) {
		h.SetName("access-control-allow-credentials", "true")
	}
	set(h, "access-control-expose-headers", f.policies.text(exposeHeaders))
	return http.HeadersContinue
}

// OnDestroy implements http.StreamFilter.
func (*filter) OnDestroy() {}

// Recycle implements http.Recycler.
func (f *filter) Recycle() { f.state = state{} }
