package basicauth

import (
	"encoding/base64"
	"strings"

	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/stats"
)

// Stats are at http.<stat_prefix>.basic_auth.
type Stats struct {
	Allowed stats.Counter `stat:"allowed"`
	Denied  stats.Counter `stat:"denied"`
}

// settings are a filter's, or those that a route has instead.
type settings struct {
	users users
	realm string // "" is the request's URL
}

type factory struct {
	own          settings
	header       string // lower case
	forward      string // header for the user's name; "" none
	allowMissing bool
	emit         bool // the user's name to dynamic metadata
	group        *stats.Group[Stats]
}

// New implements http.FilterFactory.
func (f *factory) New(w int, cb http.FilterCallbacks) http.StreamFilter {
	return &filter{f: f, cb: cb, stats: f.group.For(w)}
}

// Close ends the statistics.
func (f *factory) Close() { f.group.Close() }

type filter struct {
	http.PassRequestBody
	f     *factory
	cb    http.FilterCallbacks
	stats *Stats
}

// DecodeHeaders implements http.DecoderFilter.
func (f *filter) DecodeHeaders(h *http.HeaderMap, _ bool) http.HeadersStatus {
	s := &f.f.own
	if r, ok := http.RouteConfig[*settings](f.cb); ok {
		s = r
	}
	value, found := h.GetName(f.f.header)
	if !found {
		if f.f.allowMissing {
			return http.HeadersContinue
		}
		return f.deny(s, "User authentication failed. Missing username and password.", "no_credential_for_basic_auth")
	}
	credentials, ok := strings.CutPrefix(value, "Basic ")
	if !ok {
		return f.deny(s, "User authentication failed. Expected 'Basic' authentication scheme.", "invalid_scheme_for_basic_auth")
	}
	decoded, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(credentials, "="))
	name, password, ok := strings.Cut(string(decoded), ":")
	if err != nil || !ok {
		return f.deny(s, "User authentication failed. Invalid basic credential format.", "invalid_format_for_basic_auth")
	}
	if !s.users.check(name, password) {
		return f.deny(s, "User authentication failed. Invalid username/password combination.", "invalid_credential_for_basic_auth")
	}
	if f.f.forward != "" {
		h.SetName(f.f.forward, h.Own(name))
	}
	if f.f.emit {
		f.cb.StreamInfo().SetMetadata(f.cb.FilterName(), "username", name)
	}
	f.stats.Allowed.Inc()
	return http.HeadersContinue
}

// maxURL bounds the URL that stands for a realm, in bytes.
const maxURL = 256

func (f *filter) deny(s *settings, body, details string) http.HeadersStatus {
	f.stats.Denied.Inc()
	realm := s.realm
	if realm == "" {
		h := f.cb.RequestHeaders()
		path := h.Get(http.Path)
		realm = h.Get(http.XForwardedProto) + "://" + h.Get(http.Authority) + path[:min(len(path), maxURL)]
	}
	f.cb.SendLocalReply(401, body, func(r *http.HeaderMap) {
		r.AddName("www-authenticate", r.Concat(`Basic realm="`, realm, `"`))
	}, http.NoGrpcStatus, details)
	return http.HeadersStopIteration
}

// OnDestroy implements http.StreamFilter.
func (*filter) OnDestroy() {}

// Recycle implements http.Recycler.
func (*filter) Recycle() {}
