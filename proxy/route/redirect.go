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
	// Format makes the body of Body and of the request; nil: Body as it is.
	// ContentType is its type.
	Format      ValueFormatter
	ContentType string
}

// Text is the body for a request; contentType is "" where it is plain text.
func (d *DirectResponse) Text(c *FormatContext) (body, contentType string) {
	if d.Format == nil {
		return d.Body, ""
	}
	c.LocalReplyBody = d.Body
	body = string(d.Format.Append(nil, c))
	c.LocalReplyBody = ""
	return body, d.ContentType
}

// Location is the location header of the answer, in the memory of h: where
// the route redirects to. A direct response has one too when its status is
// 201 or 3xx: the request's own URL. "" for none.
func (r *Route) Location(h *http.HeaderMap, c *FormatContext) string {
	if d := r.entry.redirect; d != nil {
		return d.location(h, &r.entry.path, c)
	}
	if d := sameURL(r.entry.direct); d != nil {
		return d.location(h, &r.entry.path, c)
	}
	return ""
}

// Location is where a redirect without a route leads the request with the head
// h, in the memory of h.
func (d *Redirect) Location(h *http.HeaderMap, c *FormatContext) string {
	return d.location(h, &pathMatch{}, c)
}

func (d *Redirect) location(h *http.HeaderMap, matched *pathMatch, c *FormatContext) string {
	host, full := h.Get(http.Authority), h.Get(http.Path)
	if d.verbatim {
		return h.Concat("https://", host, full)
	}
	scheme := h.Get(http.Scheme)
	if d.scheme != "" {
		scheme = d.scheme
	}
	port := d.port
	if i := portStart(host); i >= 0 {
		if port == "" && d.host == "" && !defaultPort(h.Get(http.XForwardedProto), host[i:], scheme) {
			port = host[i:]
		}
		host = host[:i]
	}
	if d.host != "" {
		host = d.host
	}
	path, slash := d.newPath(h, full, matched, c), ""
	if !strings.HasPrefix(path, "/") {
		slash = "/"
	}
	return h.Concat(scheme, "://", host, port, slash, path)
}

// defaultPort tells whether a port is the default of the scheme that the client
// is said to use (x-forwarded-proto), so that it does not go along to another.
func defaultPort(old, port, scheme string) bool {
	return old != scheme && (strings.EqualFold(old, "http") && port == ":80" || strings.EqualFold(old, "https") && port == ":443")
}

func (d *Redirect) newPath(h *http.HeaderMap, full string, matched *pathMatch, c *FormatContext) string {
	switch {
	case d.path != "" && (d.stripQuery || strings.IndexByte(d.path, '?') >= 0):
		return d.path // with its own query, whatever strip_query says
	case d.path != "":
		return h.Concat(d.path, full[len(pathOnly(full)):])
	}
	if path := d.rewrite.path(h, full, matched, c); path != "" {
		full = path
	}
	if d.stripQuery {
		if i := strings.IndexByte(full, '?'); i >= 0 {
			full = full[:i]
		}
	}
	return full
}

// sameURL is the redirect of a direct response with such a status.
func sameURL(d *DirectResponse) *Redirect {
	if d != nil && (d.Status == 201 || d.Status >= 300 && d.Status < 400) {
		return &unchanged
	}
	return nil
}

var unchanged Redirect

func portText(port uint32) string {
	if port == 0 {
		return ""
	}
	return ":" + strconv.Itoa(int(port))
}
