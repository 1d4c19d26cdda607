package router

import (
	"slices"
	"strings"

	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/route"
)

// redirects follows a redirect of the upstream within the proxy, when the
// route has it so: the request starts anew with the location's host and path.
// When it can't be followed it is passed on to the client.
func (f *filter) redirects(u *upstreamRequest, h *http.HeaderMap, code int, end bool) bool {
	p := f.action.InternalRedirect
	if p == nil || !slices.Contains(p.Codes, uint32(code)) {
		return false
	}
	st := f.cluster.Stats()
	if !f.requestEnd || f.bodyLost || !h.Has(http.Location) || !f.aim(p, h, code) {
		st.UpstreamInternalRedirectFailed.Inc()
		return false
	}
	st.UpstreamInternalRedirectSucceeded.Inc()
	f.cb.StreamInfo().ResponseCode = code
	u.disarm()
	u.release(!end || !u.ended)
	f.cleanup()
	f.cb.RecreateStream(&f.body)
	return true
}

// aim turns the request's head into that of the redirect's target; it leaves
// the head as it was when that is not to be.
func (f *filter) aim(p *route.InternalRedirect, resp *http.HeaderMap, code int) bool {
	info, h := f.cb.StreamInfo(), f.cb.RequestHeaders()
	to, ok := parseLocation(h, resp.Get(http.Location))
	if !ok {
		f.stats.InternalRedirectBadLocation.Inc()
		return false
	}
	scheme, host, path := h.Get(http.Scheme), h.Get(http.Authority), h.Get(http.Path)
	plain := scheme != "https"
	if !p.AllowCrossScheme && plain != (to.scheme == "http") {
		f.stats.InternalRedirectUnsafeScheme.Inc()
		return false
	}
	if info.InternalRedirects >= int(p.MaxRedirects) {
		f.stats.InternalRedirectTooManyRedirects.Inc()
		return false
	}
	h.Set(http.Scheme, to.scheme)
	h.Set(http.Authority, to.host)
	h.Set(http.Path, to.path)
	f.cb.ClearRouteCache()
	if !f.allowed(p, plain, to.scheme == "http") {
		h.Set(http.Scheme, scheme)
		h.Set(http.Authority, host)
		h.Set(http.Path, path)
		return false
	}
	if m := h.Get(http.Method); code == 303 && m != "GET" && m != "HEAD" {
		h.Set(http.Method, "GET") // RFC 9110 section 15.4.4
		h.Remove(http.ContentLength)
		f.body.Reset()
	}
	copyHeaders(h, resp, p.HeadersToCopy)
	h.Set(http.XEnvoyOriginalURL, h.Concat(scheme, "://", host, path))
	info.InternalRedirects++
	return true
}

// allowed asks the policy's predicates about the route that the target has.
func (f *filter) allowed(p *route.InternalRedirect, fromPlain, toPlain bool) bool {
	info, r := f.cb.StreamInfo(), f.cb.Route()
	if r == nil {
		f.stats.InternalRedirectNoRoute.Inc()
		return false
	}
	name := r.RouteName()
	if p.AllowedRoutes != nil && !slices.Contains(p.AllowedRoutes, name) ||
		p.NotPrevious && slices.Contains(info.RedirectRoutes, name) ||
		p.SafeCrossScheme && !fromPlain && toPlain {
		f.stats.InternalRedirectPredicate.Inc()
		return false
	}
	if p.NotPrevious {
		info.RedirectRoutes = append(info.RedirectRoutes, name)
	}
	return true
}

// copyHeaders gives the request the response's fields of these names, or none.
func copyHeaders(h, resp *http.HeaderMap, names []string) {
	for _, name := range names {
		h.RemoveName(name)
		for l := range resp.All {
			if l.Name == name {
				h.AddName(h.Own(name), h.Own(l.Value))
			}
		}
	}
}

// target is an absolute URL that a redirect leads to.
type target struct{ scheme, host, path string }

// parseLocation reads an absolute URL; its fragment is dropped. As in Envoy any
// scheme of RFC 3986's characters will do. What it returns lies in the memory of h.
func parseLocation(h *http.HeaderMap, location string) (t target, ok bool) {
	scheme, rest, found := strings.Cut(location, "://")
	t.scheme = h.Own(strings.ToLower(scheme))
	if scheme == "" || strings.Trim(t.scheme, "abcdefghijklmnopqrstuvwxyz0123456789+-.") != "" {
		return t, false
	}
	rest, _, _ = strings.Cut(rest, "#")
	i := strings.IndexAny(rest, "/?")
	if i < 0 {
		i = len(rest)
	}
	if !found || i == 0 || strings.ContainsAny(rest, " \t\\") {
		return t, false
	}
	t.host, t.path = h.Own(rest[:i]), h.Own(rest[i:])
	if t.path == "" || t.path[0] != '/' {
		t.path = h.Concat("/", t.path)
	}
	return t, true
}
