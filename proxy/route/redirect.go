package route

import (
	"strconv"
	"strings"

	"github.com/weirproxy/weir/proxy/http"
)

// Redirect is a compiled RedirectAction.
type Redirect struct {
	Code       int // 301 unless configured
	scheme     string
	host       string
	port       string // ":8443", "" to keep
	path       string // path_redirect
	rewrite    rewrite
	stripQuery bool
	verbatim   bool // require_tls: only the scheme changes
}

// DirectResponse is a compiled DirectResponseAction.
type DirectResponse struct {
	Status int
	Body   string
}

// Location is where the route redirects the request to, in the memory of h.
// Only for routes with a Redirect.
func (r *Route) Location(h *http.HeaderMap) string {
	d := r.entry.redirect
	host, full := h.Get(http.Authority), h.Get(http.Path)
	if d.verbatim {
		return h.Concat("https://", host, full)
	}
	old := h.Get(http.XForwardedProto)
	if old == "" {
		old = h.Get(http.Scheme)
	}
	scheme := old
	if d.scheme != "" {
		scheme = d.scheme
	}
	port := d.port
	if i := portStart(host); i >= 0 {
		if port == "" && d.host == "" && !defaultPort(old, host[i:], scheme) {
			port = host[i:]
		}
		host = host[:i]
	}
	if d.host != "" {
		host = d.host
	}
	return h.Concat(scheme, "://", host, port, r.redirectPath(h, full))
}

// defaultPort tells whether a port is the default of the scheme that the
// redirect leaves, so that it does not go along to the new scheme.
func defaultPort(old, port, scheme string) bool {
	return old != scheme && (old == "http" && port == ":80" || old == "https" && port == ":443")
}

func (r *Route) redirectPath(h *http.HeaderMap, full string) string {
	d := r.entry.redirect
	path := pathOnly(full)
	query := full[len(path):]
	switch {
	case d.path != "":
		if strings.IndexByte(d.path, '?') >= 0 || d.stripQuery {
			query = ""
		}
		if i := strings.IndexByte(d.path, '?'); i >= 0 && d.stripQuery {
			return d.path[:i]
		}
		return h.Concat(d.path, query)
	case d.rewrite.set():
		full = d.rewrite.path(h, full, &r.entry.path)
	}
	if d.stripQuery {
		if i := strings.IndexByte(full, '?'); i >= 0 {
			full = full[:i]
		}
	}
	return full
}

func portText(port uint32) string {
	if port == 0 {
		return ""
	}
	return ":" + strconv.Itoa(int(port))
}
