package ratelimit

import (
	"strconv"
	"strings"

	commonv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/common/ratelimit/v3"
	rlsv3 "github.com/envoyproxy/go-control-plane/envoy/service/ratelimit/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/weirproxy/weir/proxy/grpc"
	"github.com/weirproxy/weir/proxy/route"
)

const shouldRateLimit = "/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit"

// question gathers what the service is asked.
type question struct{ m rlsv3.RateLimitRequest }

// add adds a rate limit's descriptor, if it has one for the request.
func (q *question) add(l *route.RateLimit, rq *route.LimitRequest) {
	entries, ok := l.Append(nil, rq)
	if !ok {
		return
	}
	d := &commonv3.RateLimitDescriptor{}
	for _, e := range entries {
		d.Entries = append(d.Entries, &commonv3.RateLimitDescriptor_Entry{Key: text(e.Key), Value: text(e.Value)})
	}
	if n, unit, ok := l.Override(rq); ok {
		d.Limit = &commonv3.RateLimitDescriptor_RateLimitOverride{RequestsPerUnit: n, Unit: typev3.RateLimitUnit(unit)}
	}
	if n, ok := l.HitsAddend(rq); ok {
		d.HitsAddend = wrapperspb.UInt64(n)
	}
	q.m.Descriptors = append(q.m.Descriptors, d)
}

func (q *question) empty() bool { return len(q.m.Descriptors) == 0 }

func (q *question) bytes(domain string) []byte {
	q.m.Domain = domain
	b, _ := proto.Marshal(&q.m) // its strings are valid
	return b
}

// text makes s fit for a protobuf string.
func text(s string) string { return strings.ToValidUTF8(s, "!") }

// answer reads the service's answer. A code that is not known allows the
// request, as in Envoy.
func answer(response []byte, st grpc.Status) *verdict {
	var m rlsv3.RateLimitResponse
	if st.Code != grpc.OK || proto.Unmarshal(response, &m) != nil {
		return &verdict{outcome: failed}
	}
	v := &verdict{outcome: allowed, body: string(m.RawBody), metadata: m.GetDynamicMetadata().AsMap()}
	if m.OverallCode == rlsv3.RateLimitResponse_OVER_LIMIT {
		v.outcome = overLimit
	}
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
