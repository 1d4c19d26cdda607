package customresponse

import (
	"strings"

	"github.com/weirproxy/weir/proxy/formatter"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/route"
	"github.com/weirproxy/weir/proxy/stats"
)

// RedirectStats are at http.<stat_prefix>.
type RedirectStats struct {
	NoRoute    stats.Counter `stat:"custom_response_redirect_no_route"`
	InvalidURI stats.Counter `stat:"custom_response_invalid_uri"`
}

// redirectPolicy answers with what another request of the proxy's own route
// table gets.
type redirectPolicy struct {
	uri             string
	redirect        *route.Redirect // nil: uri
	status          int             // 0: that of the response in whose place it is
	requestHeaders  *route.HeaderChanges
	responseHeaders *route.HeaderChanges
	stats           *stats.Group[RedirectStats]
}

// redirected is what the request remembers, as filter state, of the response
// that it is in place of.
type redirected struct {
	policy *redirectPolicy
	status string
}

const stateKey = "envoy.filters.http.custom_response"

// follow starts the request anew as one for the policy's URI. It leaves the
// request as it was, and returns false, when there is no route for that.
func (p *redirectPolicy) follow(f *filter, response *http.HeaderMap) bool {
	h, info, st := f.cb.RequestHeaders(), f.cb.StreamInfo(), p.stats.For(f.cb.Worker())
	uri := p.uri
	if p.redirect != nil {
		uri = p.redirect.Location(h, f.formatContext(response))
	}
	scheme, host, path, ok := splitURI(uri)
	if !ok {
		st.InvalidURI.Inc()
		return false
	}
	oldScheme, oldHost, oldPath := h.Get(http.Scheme), h.Get(http.Authority), h.Get(http.Path)
	h.Set(http.Scheme, scheme)
	h.Set(http.Authority, host)
	h.Set(http.Path, path)
	f.cb.ClearRouteCache()
	r, _ := f.cb.Route().(*route.Route)
	info.Cluster, info.ClusterStatName = "", ""
	if r == nil {
		st.NoRoute.Inc()
		h.Set(http.Scheme, oldScheme)
		h.Set(http.Authority, oldHost)
		h.Set(http.Path, oldPath)
		return false
	}
	if r.Forward() != nil {
		info.Cluster = r.Cluster(h)
		info.ClusterStatName = info.Cluster
	}
	if p.requestHeaders != nil {
		p.requestHeaders.Apply(h, f.formatContext(response))
	}
	h.Set(http.Method, "GET")
	h.Remove(http.ContentLength)
	info.SetFilterState(stateKey, &redirected{p, strings.Clone(response.Get(http.Status))})
	var none network.Buffer
	f.cb.RecreateStream(&none)
	return true
}

// finish makes what the redirected request got the answer to the original one.
func (p *redirectPolicy) finish(f *filter, was string, h *http.HeaderMap) {
	if p.responseHeaders != nil {
		p.responseHeaders.Apply(h, f.formatContext(h))
	}
	if p.status != 0 {
		was = h.Int(int64(p.status))
	}
	h.Set(http.Status, was)
}

// splitURI reads an absolute http or https URI.
func splitURI(uri string) (scheme, host, path string, ok bool) {
	scheme, rest, _ := strings.Cut(uri, "://")
	if scheme != "http" && scheme != "https" {
		return "", "", "", false
	}
	i := strings.IndexAny(rest, "/?#")
	if i < 0 {
		return scheme, rest, "/", rest != ""
	}
	host, path = rest[:i], rest[i:]
	path, _, _ = strings.Cut(path, "#")
	if path == "" || path[0] != '/' {
		path = "/" + path
	}
	return scheme, host, path, host != ""
}

// formatContext is what header values are made of.
func (f *filter) formatContext(response *http.HeaderMap) *formatter.Context {
	f.context = formatter.OfRequest(f.cb)
	f.context.ResponseHeaders = response
	return &f.context
}
