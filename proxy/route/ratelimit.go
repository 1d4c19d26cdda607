package route

import (
	"strconv"
	"strings"

	"github.com/weirproxy/weir/proxy/matcher"
)

// RateLimit is a compiled rate limit: how to make a descriptor of a request.
// The filters that limit rates use it; CompileRateLimits makes those that
// stand in a filter's own configuration.
type RateLimit struct {
	Stage uint32
	// DisableKey switches it off by the runtime key
	// ratelimit.<disable_key>.http_filter_enabled, a percentage; "": never.
	DisableKey string
	// ApplyOnStreamDone asks for the hits to be counted when the stream ends,
	// without limiting it.
	ApplyOnStreamDone bool
	// XRateLimit is x_ratelimit_option: whether the response has
	// X-RateLimit headers.
	XRateLimit XRateLimit

	actions  []limitAction
	override *limitOverride // nil for none
	hits     *hitsAddend    // nil for none
}

// XRateLimit tells whether responses get X-RateLimit headers.
type XRateLimit uint8

const (
	XRateLimitInherit XRateLimit = iota // as the filter says
	XRateLimitOff
	XRateLimitDraft03
)

// DescriptorEntry is one part of a descriptor.
type DescriptorEntry struct{ Key, Value string }

// LimitRequest is what descriptors are made of.
type LimitRequest struct {
	Format *FormatContext // RequestHeaders and Info are needed
	// Route may be nil; then entries that need it are not to be had.
	Route *Route
	// ServiceCluster is the proxy's own cluster name (--service-cluster).
	ServiceCluster string
}

// Append appends the descriptor's entries for a request. ok is false when it
// has none: an action could not make its entry, or all of them were left out,
// or the format of hits_addend gives no number.
// Values lie in the request headers' memory or in the configuration; nothing
// is allocated but for values with substitution commands.
func (l *RateLimit) Append(entries []DescriptorEntry, rq *LimitRequest) (_ []DescriptorEntry, ok bool) {
	before := len(entries)
	if _, ok := l.HitsAddend(rq); !ok && l.hits != nil {
		return entries, false
	}
	for i := range l.actions {
		e, ok := l.actions[i].entry(rq)
		if !ok {
			return entries[:before], false
		}
		if e.Key != "" {
			entries = append(entries, e)
		}
	}
	return entries, len(entries) > before
}

// LimitUnit is a limit's unit of time, numbered as in
// envoy.type.v3.RateLimitUnit.
type LimitUnit uint8

// Override is the limit that the descriptor asks for instead of the rate limit
// service's own. ok is false when there is none for this request.
func (l *RateLimit) Override(rq *LimitRequest) (requests uint32, unit LimitUnit, ok bool) {
	o := l.override
	if o == nil {
		return 0, 0, false
	}
	if o.path == nil {
		return o.requests, o.unit, true
	}
	v, _ := matcher.LookupMetadata(rq.Format.Info.Metadata, o.namespace, o.path)
	fields, _ := v.(map[string]any)
	n, numeric := fields["requests_per_unit"].(float64)
	name, _ := fields["unit"].(string)
	unit, known := limitUnits[strings.ToUpper(name)]
	return uint32(n), unit, numeric && known && n >= 0 && n == float64(uint32(n))
}

var limitUnits = map[string]LimitUnit{"SECOND": 1, "MINUTE": 2, "HOUR": 3, "DAY": 4, "MONTH": 5, "YEAR": 6}

// limitOverride is a fixed limit, or where in dynamic metadata there is one.
type limitOverride struct {
	requests  uint32
	unit      LimitUnit
	namespace string
	path      []string // nil for a fixed one
}

// hitsAddend is how many hits a request counts as.
type hitsAddend struct {
	number uint64
	format ValueFormatter // instead when not nil
}

// maxHitsAddend bounds what a format may ask for, as in Envoy.
const maxHitsAddend = 1_000_000_000

// HitsAddend is how many hits the request counts as; ok is false when the
// rate limit does not say, or says nothing usable.
func (l *RateLimit) HitsAddend(rq *LimitRequest) (n uint64, ok bool) {
	if l.hits == nil {
		return 0, false
	}
	if l.hits.format == nil {
		return l.hits.number, true
	}
	var buf [24]byte
	n, err := strconv.ParseUint(string(l.hits.format.Append(buf[:0], rq.Format)), 10, 64)
	return n, err == nil && n <= maxHitsAddend
}
