package oauth2

import (
	"strings"

	"github.com/weirproxy/weir/proxy/formatter"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/matcher"
	"github.com/weirproxy/weir/proxy/upstream/async"
)

// factory makes the filter. own is nil when only routes have settings.
type factory struct {
	own    *settings
	client func(worker int) async.Client
}

// New implements http.FilterFactory.
func (f *factory) New(_ int, cb http.FilterCallbacks) http.StreamFilter {
	return &filter{factory: f, cb: cb.(http.RouterCallbacks)}
}

// Close lets go of what the filter's own settings hold.
func (f *factory) Close() {
	if f.own != nil {
		f.own.Close()
	}
}

// filter is for one request.
type filter struct {
	http.PassRequestBody
	http.PassResponseBody
	*factory
	*settings // of this request
	cb        http.RouterCallbacks
	stats     *Stats
	arrived   jar // the cookies as the client sent them
	jar       jar // with tokens put together and decrypted
	host      string
	flow      string // of the callback, once its state is believed
	returnTo  string
	inside    bool // still in DecodeHeaders
	proceed   bool // decided in DecodeHeaders: the request goes on
	waiting   bool // for the authorization server
	cancel    func()
	refreshed []string // set-cookies for the response
}

const (
	statusHeader = "x-envoy-oauth-status"
	reasonHeader = "x-envoy-oauth-failure-reason"
)

// DecodeHeaders implements http.DecoderFilter.
func (f *filter) DecodeHeaders(h *http.HeaderMap, _ bool) http.HeadersStatus {
	h.RemoveName(statusHeader)
	h.RemoveName(reasonHeader)
	f.settings = f.own
	if r, ok := http.RouteConfig[*settings](f.cb); ok {
		f.settings = r
	}
	if f.settings == nil {
		return http.HeadersContinue
	}
	f.stats = f.group.For(f.cb.Worker())
	if f.forwardID != "" && f.forwardID != "authorization" {
		h.RemoveName(f.forwardID) // only this filter may set it
	}
	if anyMatch(f.passThrough, h) {
		f.stats.Passthrough.Inc()
		return http.HeadersContinue
	}
	if !f.ready() {
		f.stats.Failure.Inc()
		f.unavailable("OAuth2 secrets are not ready")
		return http.HeadersStopIteration
	}
	f.inside = true
	f.decide(h)
	f.inside = false
	switch {
	case f.waiting:
		return http.HeadersStopAllAndWatermark
	case f.proceed:
		return http.HeadersContinue
	}
	return http.HeadersStopIteration
}

// decide finds what is to become of the request.
func (f *filter) decide(h *http.HeaderMap) {
	f.arrived, f.host = readJar(h), h.Get(http.Authority)
	f.jar = append(jar(nil), f.arrived...)
	together := f.reassemble(&f.jar, f.stats)
	if f.decrypt(&f.jar, f.stats) || together {
		f.jar.write(h)
	}
	if !f.preserveAuthorization {
		h.Remove(http.Authorization) // whoever sent it
	}
	path := h.Get(http.Path)
	bare := path
	if i := strings.IndexAny(bare, "?#"); i >= 0 {
		bare = bare[:i]
	}
	if f.signout.Match(bare) {
		f.signOut(h)
		return
	}
	back := f.callback.Match(bare)
	session := f.session(f.jar)
	if f.valid(session, f.host, f.cb.Loop().Time()) {
		f.stats.Success.Inc()
		f.forward(h, session.tokens)
		if back {
			f.alreadyIn(path)
			return
		}
		f.stripFlow(h)
		f.proceed = true
		return
	}
	switch {
	case back:
		f.exchange(h, path)
	case f.useRefresh && session.refresh != "":
		f.ask(refreshRequest(session.refresh), f.onRefreshed)
	default:
		f.unauthorized(h, "Unauthorized, and forwarding as unauthorized because OAuth failure is allowed: "+path,
			"Unauthorized, and redirecting to OAuth server is not allowed: "+path)
	}
}

// forward gives the upstream the tokens that it is to have.
func (f *filter) forward(h *http.HeaderMap, t tokens) {
	if f.forwardBearer && t.access != "" {
		h.Set(http.Authorization, h.Own("Bearer "+t.access))
	}
	switch {
	case f.forwardID == "" || t.id == "":
	case f.forwardID == "authorization":
		h.Set(http.Authorization, h.Own("Bearer "+t.id))
	default:
		h.SetName(f.forwardID, h.Own(t.id))
	}
}

// stripFlow hides from the upstream what is the filter's alone.
func (f *filter) stripFlow(h *http.HeaderMap) {
	if len(f.jar) > 0 {
		f.hideFlow(&f.jar)
		f.jar.write(h)
	}
}

// alreadyIn sends a user back who was sent to log in several times at once.
func (f *filter) alreadyIn(path string) {
	c := f.readCallback(path, f.jar)
	f.flow = c.flow
	if c.problem != "" {
		f.refuse(c.problem)
		return
	}
	if f.loops(c.url) {
		return
	}
	f.answer(c.url, f.flowDeletions(c.flow), "oauth.race_redirect")
}

// loops refuses to send a user to the callback's own path.
func (f *filter) loops(to string) bool {
	u, _ := parseURL(to)
	bare := u.path
	if i := strings.IndexAny(bare, "?#"); i >= 0 {
		bare = bare[:i]
	}
	if !f.callback.Match(bare) {
		return false
	}
	f.refuse("State url query params matches the redirect path matcher: " + u.path)
	return true
}

// unauthorized lets a request without a session pass as such, refuses it, or
// sends the user to log in.
func (f *filter) unauthorized(h *http.HeaderMap, allowed, denied string) {
	switch {
	case f.allowsFailure(h):
		f.passUnauthorized(h, allowed)
	case anyMatch(f.denyRedirect, h):
		f.refuse(denied)
	default:
		f.login(h)
	}
}

// allowsFailure tells whether a request goes on without a session. A callback
// never does: its path is the filter's.
func (f *filter) allowsFailure(h *http.HeaderMap) bool {
	path, _, _ := strings.Cut(h.Get(http.Path), "?")
	return !f.callback.Match(path) && anyMatch(f.mayFailing, h)
}

func (f *filter) passUnauthorized(h *http.HeaderMap, reason string) {
	if len(f.jar) > 0 {
		f.hideTokens(&f.jar)
		f.hideFlow(&f.jar)
		f.jar.write(h)
	}
	h.SetName(statusHeader, "failed")
	h.SetName(reasonHeader, h.Own(reason))
	f.stats.AllowFailed.Inc()
	f.goOn()
}

// goOn lets the request pass.
func (f *filter) goOn() {
	f.proceed, f.waiting = true, false
	if !f.inside {
		f.cb.ContinueDecoding()
	}
}

// fail is for what goes wrong with the authorization server.
func (f *filter) fail(x failure) {
	if h := f.cb.RequestHeaders(); f.allowsFailure(h) {
		f.passUnauthorized(h, x.reason)
		return
	}
	f.refuse(x.details())
}

func anyMatch(ms []matcher.Header, h *http.HeaderMap) bool {
	for i := range ms {
		if ms[i].Match(h) {
			return true
		}
	}
	return false
}

func (f *filter) format(x *formatter.Formatter) string {
	c := formatter.OfRequest(f.cb)
	return x.Format(&c)
}

// EncodeHeaders implements http.EncoderFilter.
func (f *filter) EncodeHeaders(h *http.HeaderMap, _ bool) http.HeadersStatus {
	addCookies(h, f.refreshed)
	f.refreshed = nil
	return http.HeadersContinue
}

// OnDestroy implements http.StreamFilter.
func (f *filter) OnDestroy() {
	if f.cancel != nil {
		f.cancel()
	}
}

var (
	_ http.DecoderFilter = (*filter)(nil)
	_ http.EncoderFilter = (*filter)(nil)
)
