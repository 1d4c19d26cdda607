package credentials

import (
	"sync/atomic"
	"time"

	"github.com/weirproxy/weir/proxy/event"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/oauth"
	"github.com/weirproxy/weir/proxy/secret"
	"github.com/weirproxy/weir/proxy/stats"
	"github.com/weirproxy/weir/proxy/upstream/async"
)

// tokenStats are at http.<stat_prefix>.credential_injector.oauth2.
type tokenStats struct {
	Requested       stats.Counter `stat:"token_requested"`
	Fetched         stats.Counter `stat:"token_fetched"`
	NoSecret        stats.Counter `stat:"token_fetch_failed_on_client_secret"`
	NoCluster       stats.Counter `stat:"token_fetch_failed_on_cluster_not_found"`
	BadResponseCode stats.Counter `stat:"token_fetch_failed_on_bad_response_code"`
	BadToken        stats.Counter `stat:"token_fetch_failed_on_bad_token"`
	StreamReset     stats.Counter `stat:"token_fetch_failed_on_stream_reset"`
}

// token is an access token that is kept fresh. One worker does so; all read it.
type token struct {
	cluster, host, path string
	timeout             time.Duration
	retry               time.Duration // after a failure
	clientID            string
	clientSecret        *secret.Generic
	parameters          string // of the request, behind the credentials
	forwardedFor        string
	current             atomic.Pointer[string]
	group               *stats.Group[tokenStats]

	// What follows belongs to the worker.
	loop   *network.Loop
	client func() async.Client
	stats  *tokenStats
	timer  event.Timer
	call   *async.Request
	closed bool
}

// start has the token fetched, now and whenever it is time.
func (t *token) start() {
	t.loop.Post(func() {
		t.loop.InitTimer(&t.timer, t.fetch)
		t.stats = t.group.For(t.loop.Worker)
		t.fetch()
	})
}

// Value implements credential.
func (t *token) Value() string {
	if v := t.current.Load(); v != nil {
		return *v
	}
	return ""
}

// Close implements credential: main ends fetching.
func (t *token) Close() {
	t.clientSecret.Close()
	t.group.Close()
	t.loop.Post(func() {
		t.closed = true
		t.timer.Release()
		if t.call != nil {
			t.call.Cancel()
		}
	})
}

// fetch asks the authorization server for a token (RFC 6749 section 4.4.2).
func (t *token) fetch() {
	if t.closed || t.call != nil {
		return
	}
	credential := t.clientSecret.Value()
	if credential == "" {
		t.stats.NoSecret.Inc()
		t.timer.Enable(t.retry)
		return
	}
	body := "grant_type=client_credentials&client_id=" + oauth.QueryEncode(t.clientID) + "&client_secret=" + oauth.QueryEncode(credential) + t.parameters
	t.call = t.client().Send(t.cluster, async.Options{Timeout: t.timeout}, func(h *http.HeaderMap) {
		h.Add(http.Method, "POST")
		h.Add(http.Path, t.path)
		h.Add(http.Authority, t.host)
		h.Add(http.ContentType, "application/x-www-form-urlencoded")
		h.AddName("accept", "application/json")
		h.AddName("user-agent", userAgent)
		if t.forwardedFor != "" {
			h.Add(http.XForwardedFor, t.forwardedFor)
		}
	}, []byte(body), t.fetched)
	if t.call == nil {
		t.stats.NoCluster.Inc()
		t.timer.Enable(t.retry)
		return
	}
	t.stats.Requested.Inc()
}

// userAgent is what authorization servers see Envoy as.
const userAgent = "Go-browser"

func (t *token) fetched(r *async.Response) {
	t.call = nil
	if r.Status != 200 {
		t.stats.BadResponseCode.Inc()
		t.timer.Enable(t.retry)
		return
	}
	m, err := oauth.ParseResponse(r.Body)
	if err != nil || !m.HasAccessToken || !m.HasExpiresIn {
		t.stats.BadToken.Inc()
		t.timer.Enable(t.retry)
		return
	}
	t.stats.Fetched.Inc()
	t.current.Store(&m.AccessToken)
	t.timer.Enable(max(m.ExpiresIn/2, minLifetime))
}

// minLifetime keeps a server whose tokens live for no time from being asked
// without end.
const minLifetime = time.Second
