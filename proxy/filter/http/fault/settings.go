package fault

import (
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"github.com/weirproxy/weir/proxy/fraction"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/matcher"
)

// settings are a filter's, or those that a route has instead.
type settings struct {
	cluster        string // upstream; "" any
	nodes          []string
	headers        []matcher.Header
	delay          *delay // nil: none
	abort          *abort
	rate           *rate
	maxActive      uint64
	noClusterStats bool
	metadata       map[string]any
	keys           keys
	runtime        fraction.Runtime
}

// keys are where the runtime can change settings.
type keys struct{ delay, duration, abort, httpStatus, grpcStatus, active, rate string }

const unlimited = math.MaxUint64

type delay struct {
	share    fraction.Percent
	fixed    time.Duration
	byHeader bool
}

type abort struct {
	share    fraction.Percent
	http     int // 0: none
	grpc     int // http.NoGrpcStatus: none
	byHeader bool
	body     string
}

type rate struct {
	share    fraction.Percent
	kbps     uint64
	byHeader bool
}

// request is what decides on a request's faults.
type request struct {
	h          *http.HeaderMap
	downstream string // the client's cluster
}

// wants tells whether the settings are for the request.
func (s *settings) wants(q request, cluster string) bool {
	if s.cluster != "" && s.cluster != cluster {
		return false
	}
	if len(s.nodes) > 0 && !slices.Contains(s.nodes, q.h.Get(http.XEnvoyDownstreamServiceNode)) {
		return false
	}
	return matcher.MatchHeaders(s.headers, q.h)
}

// number is a header's value as a number.
func number(h *http.HeaderMap, name string) (n uint64, ok bool) {
	v, found := h.GetName(name)
	if !found {
		return 0, false
	}
	n, err := strconv.ParseUint(v, 10, 32)
	return n, err == nil
}

// picks draws lots by a share that the runtime can change, under the client
// cluster's key instead where it has one, and a header can lower.
func (s *settings) picks(share fraction.Percent, key, clusterKey, header string, byHeader bool, q request) bool {
	if byHeader {
		if n, ok := number(q.h, header); ok {
			share = share.Capped(n)
		}
	}
	if clusterKey != "" && q.downstream != "" {
		key = "fault.http." + q.downstream + "." + clusterKey
	}
	share = share.WithKey(key, s.runtime)
	return share.Picks(rand.Uint64())
}

// integer is a value that the runtime can change, under the client cluster's
// key first.
func (s *settings) integer(key, clusterKey string, def uint64, q request) uint64 {
	if q.downstream != "" {
		if v := s.runtime.Get("fault.http."+q.downstream+"."+clusterKey, unlimited); v != unlimited {
			return v
		}
	}
	return s.runtime.Get(key, def)
}

// delayOf is how long to delay the request; 0 is not at all.
func (s *settings) delayOf(q request) time.Duration {
	d := s.delay
	if d == nil || !s.picks(d.share, s.keys.delay, "delay.fixed_delay_percent", "x-envoy-fault-delay-request-percentage", d.byHeader, q) {
		return 0
	}
	ms := uint64(d.fixed / time.Millisecond)
	if d.byHeader {
		var ok bool
		if ms, ok = number(q.h, "x-envoy-fault-delay-request"); !ok {
			return 0
		}
	}
	ms = s.integer(s.keys.duration, "delay.fixed_duration_ms", ms, q)
	return time.Duration(min(ms, math.MaxInt32)) * time.Millisecond
}

// abortOf is the status to abort the request with; ok is false for not at all.
func (s *settings) abortOf(q request) (httpStatus, grpcStatus int, ok bool) {
	a := s.abort
	if a == nil || !s.picks(a.share, s.keys.abort, "abort.abort_percent", "x-envoy-fault-abort-request-percentage", a.byHeader, q) {
		return 0, 0, false
	}
	httpStatus, grpcStatus = a.http, a.grpc
	if a.byHeader {
		if n, found := number(q.h, "x-envoy-fault-abort-request"); found && 200 <= n && n < 600 {
			httpStatus = int(n)
		} else if n, found := number(q.h, "x-envoy-fault-abort-grpc-request"); found {
			grpcStatus = int(n)
		}
	}
	if httpStatus != 0 {
		// The runtime's value need not be a status that there is, but three digits.
		if n := s.integer(s.keys.httpStatus, "abort.http_status", uint64(httpStatus), q); 200 <= n && n < 1000 {
			httpStatus = int(n)
		}
		return httpStatus, http.NoGrpcStatus, true
	}
	if grpcStatus != http.NoGrpcStatus {
		n := s.integer(s.keys.grpcStatus, "abort.grpc_status", uint64(grpcStatus), q)
		return 200, int(n), true
	}
	return 0, 0, false
}

// rateOf is the response's limit in kbps of 1024 bytes a second; 0 is none.
func (s *settings) rateOf(q request) uint64 {
	r := s.rate
	if r == nil || !s.picks(r.share, s.keys.rate, "", "x-envoy-fault-throughput-response-percentage", r.byHeader, q) {
		return 0
	}
	if r.byHeader {
		n, _ := number(q.h, "x-envoy-fault-throughput-response")
		return n
	}
	return r.kbps
}
