package route

import (
	"strings"

	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/matcher"
)

// rewrite changes a path. At most one is set.
type rewrite struct {
	prefix *string // replaces the matched part
	regex  *matcher.Substitution
	// template is a path_rewrite_policy.
	template *templateRewrite
	format   ValueFormatter // path_rewrite: makes the path
}

// path is the rewritten form of full, a path with its query, in the memory of
// h; "" to leave it as it is.
func (w *rewrite) path(h *http.HeaderMap, full string, p *pathMatch, c *FormatContext) string {
	switch {
	case w.format != nil:
		if to := w.format.Append(nil, c); len(to) > 0 {
			return h.Concat(string(to), full[len(pathOnly(full)):])
		}
	case w.prefix != nil:
		if n, ok := p.matched(full); ok {
			return h.Concat(*w.prefix, full[n:])
		}
	case w.regex != nil:
		path := pathOnly(full)
		if to := w.regex.Replace(path); to != "" {
			return h.Concat(to, full[len(path):])
		}
	case w.template != nil:
		path := pathOnly(full)
		if to := w.template.path(path); to != "" {
			return h.Concat(to, full[len(path):])
		}
	}
	return ""
}

// hostRewrite changes the host. At most one of the first four is set.
type hostRewrite struct {
	literal   string
	header    string // lower case
	pathRegex *matcher.Substitution
	format    ValueFormatter // host_rewrite
	appendXFH bool           // append_x_forwarded_host
}

// host is the new host, "" to leave it.
func (w *hostRewrite) host(h *http.HeaderMap, c *FormatContext) string {
	switch {
	case w.format != nil:
		return h.OwnBytes(w.format.Append(nil, c))
	case w.literal != "":
		return w.literal
	case w.header != "":
		value, _ := h.GetName(w.header)
		return value
	case w.pathRegex != nil:
		return w.pathRegex.Replace(pathOnly(h.Get(http.Path)))
	}
	return ""
}

// FinalizeRequestHeaders makes the headers those that go upstream: header
// changes of all levels, host and path rewritten. keepOriginal is false when
// the router suppresses Envoy's own headers (x-envoy-original-path, -host). Only for
// routes that forward. It allocates nothing but when it rewrites by regular
// expression.
func (r *Route) FinalizeRequestHeaders(h *http.HeaderMap, c *FormatContext, keepOriginal bool) {
	if w := r.cluster; w != nil {
		w.mutations.request.apply(h, c)
		if w.hostRewrite != "" {
			h.Set(http.Authority, w.hostRewrite)
		}
	}
	r.mutate(h, c, requestList)
	f := r.entry.forward
	if host := f.hostRewrite.host(h, c); host != "" {
		UpdateAuthority(h, host, f.hostRewrite.appendXFH, keepOriginal)
	}
	r.rewritePath(&f.pathRewrite, h, c, keepOriginal)
}

func (r *Route) rewritePath(rw *rewrite, h *http.HeaderMap, c *FormatContext, keepOriginal bool) {
	full := h.Get(http.Path)
	if path := rw.path(h, full, &r.entry.path, c); path != "" {
		if keepOriginal {
			h.Set(http.XEnvoyOriginalPath, full)
		}
		h.Set(http.Path, path)
	}
}

// FinalizeRedirected rewrites the path of a request that is answered by a
// redirect as in its Location, which must be known by then: what formats and
// logs say of the request is the new path.
func (r *Route) FinalizeRedirected(h *http.HeaderMap, c *FormatContext, keepOriginal bool) {
	if d := r.entry.redirect; d != nil && d.path == "" {
		r.rewritePath(&d.rewrite, h, c, keepOriginal)
	}
}

// FinalizeResponseHeaders applies the header changes of all levels to a
// response of the upstream or of the proxy itself.
func (r *Route) FinalizeResponseHeaders(h *http.HeaderMap, c *FormatContext) {
	if d := r.entry.redirect; d != nil && d.verbatim {
		return // the answer of require_tls is nobody's to change
	}
	if r.cluster != nil {
		r.cluster.mutations.response.apply(h, c)
	}
	r.mutate(h, c, responseList)
}

// UpdateAuthority sets the host. The old one is appended to x-forwarded-host
// when asked to, unless it is the last there already, and kept in x-envoy-original-host when
// keepOriginal.
func UpdateAuthority(h *http.HeaderMap, host string, appendForwardedHost, keepOriginal bool) {
	old := h.Get(http.Authority)
	if appendForwardedHost && old != "" {
		xfh := h.Get(http.XForwardedHost)
		if last := xfh[strings.LastIndexByte(xfh, ',')+1:]; last != old {
			h.Append(http.XForwardedHost, ",", old)
		}
	}
	if keepOriginal && old != "" {
		h.Set(http.XEnvoyOriginalHost, old)
	}
	h.Set(http.Authority, host)
}

// AppendForwardedHost tells whether a changed host leaves its trace in
// x-forwarded-host (append_x_forwarded_host).
func (f *Forward) AppendForwardedHost() bool { return f.hostRewrite.appendXFH }
