package apikeyauth

import (
	"net/url"
	"slices"
	"strings"

	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/matcher"
	"github.com/weirproxy/weir/proxy/stats"
)

// Stats are at http.<stat_prefix>.api_key_auth.
type Stats struct {
	Allowed      stats.Counter `stat:"allowed"`
	Forbidden    stats.Counter `stat:"forbidden"`
	Unauthorized stats.Counter `stat:"unauthorized"`
}

// settings are a filter's; a route's take their place where they are set.
type settings struct {
	clients    map[string]string // by key
	sources    []source
	forwarding *forwarding
	allowed    map[string]bool // clients; nil: all
}

// source is where a key may be: one of these.
type source struct{ header, query, cookie string }

// forwarding is what the upstream gets to see.
type forwarding struct {
	header string // for the client's name; "" none
	hide   bool   // the key
}

type factory struct {
	own   settings
	group *stats.Group[Stats]
}

// New implements http.FilterFactory.
func (f *factory) New(w int, cb http.FilterCallbacks) http.StreamFilter {
	return &filter{cb: cb, own: &f.own, stats: f.group.For(w)}
}

// Close ends the statistics.
func (f *factory) Close() { f.group.Close() }

type filter struct {
	http.PassRequestBody
	cb    http.FilterCallbacks
	own   *settings
	stats *Stats
}

// settings are the filter's own, with what the route has instead. Who the
// route is for and what it forwards is the route's alone.
func (f *filter) settings() settings {
	s := *f.own
	if r, ok := http.RouteConfig[*settings](f.cb); ok {
		s.allowed, s.forwarding = r.allowed, r.forwarding
		if r.clients != nil {
			s.clients = r.clients
		}
		if r.sources != nil {
			s.sources = r.sources
		}
	}
	return s
}

// DecodeHeaders implements http.DecoderFilter.
func (f *filter) DecodeHeaders(h *http.HeaderMap, _ bool) http.HeadersStatus {
	s := f.settings()
	key := s.key(h)
	if key == "" {
		return f.deny(401, "Client authentication failed.", "missing_api_key")
	}
	client, known := s.clients[key]
	switch {
	case !known:
		return f.deny(401, "Client authentication failed.", "unknown_api_key")
	case s.allowed != nil && !s.allowed[client]:
		return f.deny(403, "Client is forbidden.", "client_not_allowed")
	}
	if w := s.forwarding; w != nil {
		if w.hide {
			s.hide(h)
		}
		if w.header != "" {
			h.SetName(w.header, client)
		}
	}
	f.stats.Allowed.Inc()
	return http.HeadersContinue
}

func (f *filter) deny(status int, body, details string) http.HeadersStatus {
	if status == 401 {
		f.stats.Unauthorized.Inc()
	} else {
		f.stats.Forbidden.Inc()
	}
	f.cb.SendLocalReply(status, body, nil, http.NoGrpcStatus, details)
	return http.HeadersStopIteration
}

// key is the request's key by the first source that has one.
func (s *settings) key(h *http.HeaderMap) string {
	for _, src := range s.sources {
		key := ""
		switch {
		case src.header != "":
			key, _ = h.GetName(src.header)
			key = strings.TrimPrefix(key, "Bearer ") // in whatever header
		case src.query != "":
			key, _ = matcher.QueryValue(h.Get(http.Path), src.query)
			if decoded, err := url.PathUnescape(key); err == nil {
				key = decoded
			}
		default:
			key, _ = matcher.CookieValue(h, src.cookie)
		}
		if key != "" {
			return key
		}
	}
	return ""
}

// hide takes the key out of every place where it may be.
func (s *settings) hide(h *http.HeaderMap) {
	for _, src := range s.sources {
		switch {
		case src.header != "":
			h.RemoveName(src.header)
		case src.query != "":
			path, params := http.SplitQuery(h.Get(http.Path))
			params = slices.DeleteFunc(params, func(p http.QueryParam) bool { return p.Key == src.query })
			h.Set(http.Path, http.JoinQuery(path, params))
		default:
			hideCookie(h, src.cookie)
		}
	}
}

// hideCookie takes a cookie out of the request's cookie lines.
func hideCookie(h *http.HeaderMap, name string) {
	for l := range h.All {
		if l.ID != http.Cookie {
			continue
		}
		var rest []string
		for c := range strings.SplitSeq(l.Value, ";") {
			if key, _, _ := strings.Cut(strings.TrimSpace(c), "="); key != name {
				rest = append(rest, strings.TrimSpace(c))
			}
		}
		h.SetValue(l, strings.Join(rest, "; "))
	}
	h.RemoveIf(func(l *http.Header) bool { return l.ID == http.Cookie && l.Value == "" })
}

// OnDestroy implements http.StreamFilter.
func (*filter) OnDestroy() {}

// Recycle implements http.Recycler.
func (*filter) Recycle() {}
