package oauth2

import (
	"strings"

	"github.com/weirproxy/weir/proxy/http"
)

// refuse answers 401; a login that it ends is forgotten.
func (f *filter) refuse(details string) {
	f.waiting = false
	f.stats.Failure.Inc()
	f.cb.SendLocalReply(401, "OAuth flow failed.", func(h *http.HeaderMap) {
		if f.flow != "" {
			addCookies(h, f.flowDeletions(f.flow))
		}
	}, http.NoGrpcStatus, underscored(details))
}

func (f *filter) unavailable(details string) {
	f.waiting = false
	f.cb.SendLocalReply(503, "Service Unavailable", nil, http.NoGrpcStatus, underscored(details))
}

// answer redirects the user.
func (f *filter) answer(location string, cookies []string, details string) {
	f.waiting = false
	r := f.cb.NewResponse()
	r.Add(http.Status, "302")
	addCookies(r, cookies)
	r.Add(http.Location, r.Own(location))
	f.cb.EncodeHeaders(r, true, details)
}

func addCookies(h *http.HeaderMap, lines []string) {
	for _, l := range lines {
		h.Add(http.SetCookie, h.Own(l))
	}
}

// underscored is text as response-code details have it.
func underscored(s string) string {
	return strings.Map(func(r rune) rune {
		if r == ' ' || r >= '\t' && r <= '\r' {
			return '_'
		}
		return r
	}, s)
}
