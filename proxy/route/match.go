package route

import (
	"strings"
	"unsafe"

	"github.com/weirproxy/weir/proxy/fraction"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/matcher"
	"github.com/weirproxy/weir/proxy/streaminfo"
)

// request is what entries look at, for the time of one lookup.
type request struct {
	headers *http.HeaderMap
	info    *streaminfo.Info
	path    string // without query and fragment
	random  uint64
	connect bool // see connectAndPath
	hasPath bool
}

type pathKind uint8

const (
	pathPrefix pathKind = iota
	pathExact
	pathSeparatedPrefix
	pathRegex
	pathConnect
)

// pathMatch is an entry's path specifier.
type pathMatch struct {
	value string // lower case when fold
	regex *matcher.String
	kind  pathKind
	fold  bool // ignore case
	// template is the regular expression of a path template, with the
	// template's variables; "" for others.
	template string
}

func (p *pathMatch) matches(rq *request) bool {
	if p.kind == pathConnect {
		return rq.connect
	}
	if !rq.hasPath {
		return false
	}
	switch p.kind {
	case pathExact:
		return len(rq.path) == len(p.value) && p.startOf(rq.path)
	case pathPrefix:
		return p.startOf(rq.path)
	case pathSeparatedPrefix:
		return p.startOf(rq.path) && (len(rq.path) == len(p.value) || rq.path[len(p.value)] == '/')
	default:
		if p.template != "" { // to which parameters belong, ignored or not
			return p.regex.Match(pathOnly(rq.headers.Get(http.Path)))
		}
		return p.regex.Match(rq.path)
	}
}

func (p *pathMatch) startOf(path string) bool {
	if p.fold {
		return matcher.HasPrefixFold(path, p.value)
	}
	return strings.HasPrefix(path, p.value)
}

// matched is the length of the part of full, a path with its query, that the
// specifier stands for and a prefix rewrite replaces. ok is false when full
// does not begin with it: path parameters that were ignored are in between.
func (p *pathMatch) matched(full string) (n int, ok bool) {
	if p.kind == pathRegex || p.kind == pathConnect {
		return len(pathOnly(full)), true
	}
	return len(p.value), p.startOf(full)
}

// conditions are what an entry asks beyond the path. Most have none.
type conditions struct {
	fraction    *Fraction
	headers     []matcher.Header
	query       []matcher.QueryParameter
	cookies     []matcher.Cookie
	metadata    []matcher.Metadata
	filterState []matcher.FilterState
	tls         *tlsCondition
	grpc        bool
}

type tlsCondition struct{ presented, validated *bool }

func (c *conditions) match(rq *request) bool {
	if c.fraction != nil && !c.fraction.Picks(rq.random) {
		return false
	}
	if !matcher.MatchHeaders(c.headers, rq.headers) || c.grpc && !http.IsGRPC(rq.headers) {
		return false
	}
	for i := range c.query {
		if !c.query[i].Match(rq.headers.Get(http.Path)) {
			return false
		}
	}
	for i := range c.cookies {
		if !c.cookies[i].Match(rq.headers) {
			return false
		}
	}
	if c.tls != nil && !c.tls.match(rq.info) {
		return false
	}
	for i := range c.metadata {
		if !c.metadata[i].Match(rq.info.Metadata) {
			return false
		}
	}
	for i := range c.filterState {
		if !c.filterState[i].Match(rq.info.FilterState) {
			return false
		}
	}
	return true
}

// match looks at the downstream connection's certificate; a plain connection
// has presented none.
func (t *tlsCondition) match(info *streaminfo.Info) bool {
	var presented, validated bool
	if info != nil && info.Conn != nil && info.Conn.Info != nil && info.Conn.Info.TLS != nil {
		session := info.Conn.Info.TLS
		presented = session.PeerCertificatePresented()
		if v, ok := session.(interface{ PeerCertificateValidated() bool }); ok {
			validated = v.PeerCertificateValidated()
		}
	}
	return (t.presented == nil || *t.presented == presented) && (t.validated == nil || *t.validated == validated)
}

func (e *Entry) matches(rq *request) bool {
	return e.path.matches(rq) && (e.conditions == nil || e.conditions.match(rq))
}

// Fraction is a RuntimeFractionalPercent.
type Fraction struct {
	Numerator, Denominator uint64
	key                    string
	runtime                Runtime
}

// Picks tells whether the fraction takes the request with that random number.
// A plain number in the runtime is a percentage, whatever the denominator is.
func (f *Fraction) Picks(random uint64) bool {
	if n, d, ok := f.runtime.Share(f.key); ok {
		return random%d < n
	}
	return random%f.Denominator < f.Numerator
}

// Runtime looks up a number in the runtime, def when it is not set. It is
// called on workers.
type Runtime = fraction.Runtime

// pathOnly is path without its query and fragment.
func pathOnly(path string) string {
	if i := strings.IndexByte(path, '?'); i >= 0 {
		path = path[:i]
	}
	if i := strings.IndexByte(path, '#'); i >= 0 {
		path = path[:i]
	}
	return path
}

// withoutParameters drops ";parameters" from each segment of path.
func withoutParameters(h allocator, path string) string {
	if strings.IndexByte(path, ';') < 0 {
		return path
	}
	out, skip := h.Alloc(len(path))[:0], false
	for i := range len(path) {
		switch c := path[i]; {
		case c == '/':
			skip = false
		case c == ';':
			skip = true
		}
		if !skip {
			out = append(out, path[i])
		}
	}
	return stringOf(out)
}

// allocator is memory that lives as long as the request.
type allocator interface{ Alloc(n int) []byte }

func stringOf(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
