package ratelimit

import (
	"slices"
	"strconv"
	"strings"

	rlsv3 "github.com/envoyproxy/go-control-plane/envoy/service/ratelimit/v3"

	"github.com/weirproxy/weir/proxy/grpc"
	"github.com/weirproxy/weir/proxy/grpc/ratelimit"
	"github.com/weirproxy/weir/proxy/route"
)

// addDescriptor adds a rate limit's descriptor, if it has one for the request.
func addDescriptor(q *ratelimit.Question, l *route.RateLimit, rq *route.LimitRequest) {
	entries, ok := l.Append(nil, rq)
	if !ok {
		return
	}
	d := q.Add()
	for _, e := range entries {
		d.Entry(e.Key, e.Value)
	}
	if n, unit, ok := l.Override(rq); ok {
		d.Override(n, int32(unit))
	}
	if n, ok := l.HitsAddend(rq); ok {
		d.Hits(n)
	}
}

// verdict is the service's answer.
type verdict struct {
	outcome           ratelimit.Outcome
	request, response [][2]string // headers to add
	headers           [][2]string // X-RateLimit
	retry             int64       // seconds until a limit is reset
	body              string
	metadata          map[string]any
}

// hasResponse tells whether the service adds a header to the response.
func (v *verdict) hasResponse(name string) bool {
	return slices.ContainsFunc(v.response, func(h [2]string) bool { return h[0] == name })
}

// answer reads the service's answer.
func answer(response []byte, st grpc.Status) *verdict {
	m, outcome := ratelimit.Read(response, st)
	if outcome == ratelimit.Failed {
		return &verdict{}
	}
	v := &verdict{outcome: outcome, body: string(m.RawBody), metadata: m.GetDynamicMetadata().AsMap()}
	for _, h := range m.RequestHeadersToAdd {
		v.request = append(v.request, [2]string{strings.ToLower(h.Key), h.Value + string(h.RawValue)})
	}
	for _, h := range m.ResponseHeadersToAdd {
		v.response = append(v.response, [2]string{strings.ToLower(h.Key), h.Value + string(h.RawValue)})
	}
	v.limits(m.Statuses)
	return v
}

// seconds are a limit's units.
var seconds = map[rlsv3.RateLimitResponse_RateLimit_Unit]int64{
	rlsv3.RateLimitResponse_RateLimit_SECOND: 1, rlsv3.RateLimitResponse_RateLimit_MINUTE: 60, rlsv3.RateLimitResponse_RateLimit_HOUR: 3600,
	rlsv3.RateLimitResponse_RateLimit_DAY: 86400, rlsv3.RateLimitResponse_RateLimit_WEEK: 7 * 86400,
	rlsv3.RateLimitResponse_RateLimit_MONTH: 30 * 86400, rlsv3.RateLimitResponse_RateLimit_YEAR: 365 * 86400,
}

// limits makes the X-RateLimit headers of the descriptors' states
// (draft-polli-ratelimit-headers-03): the one nearest to its limit, and all
// policies.
func (v *verdict) limits(list []*rlsv3.RateLimitResponse_DescriptorStatus) {
	var nearest *rlsv3.RateLimitResponse_DescriptorStatus
	policy := ""
	for _, s := range list {
		if s.Code == rlsv3.RateLimitResponse_OVER_LIMIT {
			v.retry = max(v.retry, s.GetDurationUntilReset().GetSeconds(), 1)
		}
		l := s.GetCurrentLimit()
		if l == nil {
			continue
		}
		if nearest == nil || s.LimitRemaining < nearest.LimitRemaining {
			nearest = s
		}
		if w := seconds[l.Unit]; w > 0 {
			policy += ", " + strconv.FormatUint(uint64(l.RequestsPerUnit), 10) + ";w=" + strconv.FormatInt(w, 10)
			if l.Name != "" {
				policy += `;name="` + l.Name + `"`
			}
		}
	}
	if nearest == nil {
		return
	}
	v.headers = [][2]string{
		{"x-ratelimit-limit", strconv.FormatUint(uint64(nearest.GetCurrentLimit().RequestsPerUnit), 10) + policy},
		{"x-ratelimit-remaining", strconv.FormatUint(uint64(nearest.LimitRemaining), 10)},
		{"x-ratelimit-reset", strconv.FormatInt(nearest.GetDurationUntilReset().GetSeconds(), 10)},
	}
}
