package jwtauthn

import (
	"math/rand/v2"
	"strings"
	"sync/atomic"

	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/route"
	"github.com/weirproxy/weir/proxy/stats"
	"github.com/weirproxy/weir/proxy/streaminfo"
	"github.com/weirproxy/weir/proxy/upstream/async"
)

// factory is a JwtAuthentication compiled.
type factory struct {
	providers  []*provider
	rules      []rule
	stateName  string // of the filter state that names a requirement
	byState    map[string]requirement
	named      map[string]requirement
	names      string // of named, for an error's text
	bypassCors bool
	strip      bool // failures have no body
	client     func(worker int) async.Client
	// forwardedFor is this machine, for who is asked for keys.
	forwardedFor string
	group        *stats.Group[Stats]
	workers      []*worker
	closed       atomic.Bool
}

// rule is a RequirementRule compiled; nil requires nothing.
type rule struct {
	match    *route.Matcher
	requires requirement
}

// worker is what the filters of a worker share.
type worker struct {
	stats    *Stats
	only     *provider // the filter's, when it has no other; nil
	keys     map[*provider]*keyCache
	verified map[*provider]*tokenCache
}

// open makes a worker's part. It is called on that worker.
func (f *factory) open(w int) *worker {
	if wk := f.workers[w]; wk != nil {
		return wk
	}
	wk := &worker{stats: f.group.For(w), keys: map[*provider]*keyCache{}, verified: map[*provider]*tokenCache{}}
	f.workers[w] = wk
	if len(f.providers) == 1 {
		wk.only = f.providers[0]
	}
	client := f.client(w)
	for _, p := range f.providers {
		if p.remote != nil {
			c := &keyCache{f: f, r: p.remote, client: client, stats: wk.stats}
			client.Loop().InitTimer(&c.refresh, c.onRefresh)
			wk.keys[p] = c
			if p.remote.ahead {
				c.fetch()
			}
		}
		if p.cacheSize > 0 {
			wk.verified[p] = &tokenCache{size: p.cacheSize, longest: p.cacheToken, seen: map[string]struct{}{}}
		}
	}
	return wk
}

// New implements http.FilterFactory.
func (f *factory) New(w int, cb http.FilterCallbacks) http.StreamFilter {
	return &filter{factory: f, cb: cb, worker: f.open(w)}
}

// Close ends the filter's statistics.
func (f *factory) Close() {
	f.closed.Store(true)
	f.group.Close()
}

// filter checks one request, and then later ones: see Recycle.
type filter struct {
	http.PassRequestBody
	*factory
	cb     http.FilterCallbacks
	worker *worker
	state
}

// state is what is zero when a stream begins.
type state struct {
	check   *check
	waiting bool
	inside  bool // the check is still in the call that began it
	refused bool
}

// Recycle implements http.Recycler.
func (f *filter) Recycle() { f.state = state{} }

// OnDestroy implements http.StreamFilter.
func (f *filter) OnDestroy() {
	if f.check != nil {
		f.check.cancel()
	}
}

// DecodeHeaders implements http.DecoderFilter.
func (f *filter) DecodeHeaders(h *http.HeaderMap, _ bool) http.HeadersStatus {
	if f.bypassCors && isPreflight(h) {
		f.worker.stats.CorsPreflightBypassed.Inc()
		f.worker.stats.Allowed.Inc()
		return http.HeadersContinue
	}
	r, problem := f.requirement(h)
	if problem != "" {
		f.worker.stats.Denied.Inc()
		f.cb.SendLocalReply(403, f.text("Failed JWT authentication: "+problem), nil, http.NoGrpcStatus, details(problem))
		return http.HeadersStopIteration
	}
	if r == nil {
		f.worker.stats.Allowed.Inc()
		return http.HeadersContinue
	}
	f.check = &check{worker: f.worker, cb: f.cb}
	f.inside, f.waiting = true, true
	r.check(f.check, f.onDecision)
	f.inside = false
	switch {
	case f.refused:
		return http.HeadersStopIteration
	case f.waiting:
		return http.HeadersStopAllAndWatermark
	}
	return http.HeadersContinue
}

// requirement finds what the request has to satisfy: nil for nothing. problem
// tells that the route names a requirement that does not exist.
func (f *filter) requirement(h *http.HeaderMap) (r requirement, problem string) {
	if s, ok := http.RouteConfig[*routeSettings](f.cb); ok {
		if s.disabled {
			return nil, ""
		}
		r, ok := f.named[s.name]
		if !ok {
			return nil, "Wrong requirement_name: " + s.name + ". It should be one of [" + f.names + "]"
		}
		return r, ""
	}
	if len(f.rules) > 0 {
		random := rand.Uint64()
		for i := range f.rules {
			if f.rules[i].match.Match(h, f.cb.StreamInfo(), random) {
				return f.rules[i].requires, ""
			}
		}
	}
	if f.stateName != "" {
		switch v := f.cb.StreamInfo().FilterState[f.stateName].(type) {
		case string:
			return f.byState[v], ""
		case streaminfo.FilterStateObject:
			return f.byState[v.String()], ""
		}
	}
	return nil, ""
}

// onDecision takes what the check has come to.
func (f *filter) onDecision(s status) {
	if f.check.dead {
		return
	}
	f.waiting = false
	if s == ok {
		f.worker.stats.Allowed.Inc()
		if !f.inside {
			f.cb.ContinueDecoding()
		}
		return
	}
	f.refused = true
	f.worker.stats.Denied.Inc()
	code := 401
	if s == audienceNotAllowed {
		code = 403
	}
	f.cb.SendLocalReply(code, f.text(string(s)), func(h *http.HeaderMap) {
		if !f.strip {
			h.SetName("www-authenticate", h.Own(f.challenge(s)))
		}
	}, http.NoGrpcStatus, details(string(s)))
}

// text is a failure's body.
func (f *filter) text(s string) string {
	if f.strip {
		return ""
	}
	return s
}

// challenge is the answer's www-authenticate (RFC 6750 section 3).
func (f *filter) challenge(s status) string {
	h := f.cb.RequestHeaders()
	path := h.Get(http.Path)
	uri := h.Get(http.Scheme) + "://" + h.Get(http.Authority) + path[:min(len(path), maxRealm)]
	uri, _, _ = strings.Cut(uri, "\"")
	value := `Bearer realm="` + uri + `"`
	if s != missing {
		value += `, error="invalid_token"`
	}
	return value
}

// maxRealm bounds the path that a challenge repeats, in bytes.
const maxRealm = 256

func details(s string) string {
	return "jwt_authn_access_denied{" + strings.ReplaceAll(s, " ", "_") + "}"
}

// isPreflight tells whether a request asks what CORS allows.
func isPreflight(h *http.HeaderMap) bool {
	method, asks := h.GetName("access-control-request-method")
	return h.Get(http.Method) == "OPTIONS" && h.Get(http.Origin) != "" && asks && method != ""
}

var (
	_ http.DecoderFilter = (*filter)(nil)
	_ http.Recycler      = (*filter)(nil)
)
