package csrf

import (
	"math/rand/v2"
	"strings"

	"github.com/weirproxy/weir/proxy/fraction"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/matcher"
	"github.com/weirproxy/weir/proxy/stats"
)

// Stats are at http.<stat_prefix>.csrf.
type Stats struct {
	MissingSourceOrigin stats.Counter `stat:"missing_source_origin"`
	RequestInvalid      stats.Counter `stat:"request_invalid"`
	RequestValid        stats.Counter `stat:"request_valid"`
}

// policy is a CsrfPolicy compiled.
type policy struct {
	enabled, shadow fraction.Percent
	origins         []matcher.String
}

func (p *policy) allows(origin string) bool {
	for i := range p.origins {
		if p.origins[i].Match(origin) {
			return true
		}
	}
	return false
}

type factory struct {
	policy *policy
	group  *stats.Group[Stats]
}

// New implements http.FilterFactory.
func (f *factory) New(w int, cb http.FilterCallbacks) http.StreamFilter {
	return &filter{cb: cb, policy: f.policy, stats: f.group.For(w)}
}

// Close ends the statistics.
func (f *factory) Close() { f.group.Close() }

type filter struct {
	http.PassRequestBody
	cb     http.FilterCallbacks
	policy *policy
	stats  *Stats
}

// DecodeHeaders implements http.DecoderFilter.
func (f *filter) DecodeHeaders(h *http.HeaderMap, _ bool) http.HeadersStatus {
	p, ok := http.RouteConfig[*policy](f.cb)
	if !ok {
		p = f.policy
	}
	enforced := p.enabled.Picks(rand.Uint64())
	if !enforced && !p.shadow.Picks(rand.Uint64()) || !changes(h.Get(http.Method)) {
		return http.HeadersContinue
	}
	switch origin := source(h); {
	case origin == "":
		f.stats.MissingSourceOrigin.Inc()
	case origin == h.Get(http.Authority) || p.allows(origin):
		f.stats.RequestValid.Inc()
		return http.HeadersContinue
	default:
		f.stats.RequestInvalid.Inc()
	}
	if !enforced {
		return http.HeadersContinue
	}
	f.cb.SendLocalReply(403, "Invalid origin", nil, http.NoGrpcStatus, "csrf_origin_mismatch")
	return http.HeadersStopIteration
}

// changes tells whether a method is one that changes something.
func changes(method string) bool {
	switch method {
	case "POST", "PUT", "DELETE", "PATCH":
		return true
	}
	return false
}

// source is the host and port that a request comes from, "" when it does not
// say or hides it.
func source(h *http.HeaderMap) string {
	if !h.Has(http.Origin) {
		return hostAndPort(h.Get(http.Referer))
	}
	if o := h.Get(http.Origin); o != "null" {
		return hostAndPort(o)
	}
	return ""
}

// hostAndPort is that part of an absolute URL, without a user; what is none
// stays as it is.
func hostAndPort(url string) string {
	i := strings.Index(url, "://")
	if i < 0 {
		return url
	}
	host := url[i+3:]
	if i := strings.IndexAny(host, "/?#"); i >= 0 {
		host = host[:i]
	}
	return host[strings.LastIndexByte(host, '@')+1:]
}

// OnDestroy implements http.StreamFilter.
func (*filter) OnDestroy() {}

// Recycle implements http.Recycler.
func (*filter) Recycle() {}
