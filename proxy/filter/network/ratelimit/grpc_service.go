package ratelimit

import (
	"strings"

	commonv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/common/ratelimit/v3"
	rlsv3 "github.com/envoyproxy/go-control-plane/envoy/service/ratelimit/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/weirproxy/weir/proxy/formatter"
	"github.com/weirproxy/weir/proxy/grpc"
	"github.com/weirproxy/weir/proxy/streaminfo"
)

const shouldRateLimit = "/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit"

// question is what the service is asked, as bytes.
func (f *filter) question() []byte {
	loop := f.conn.Loop()
	c := formatter.Context{Info: streaminfo.OfConnection(f.conn), Now: loop.Now(), Time: loop.Time()}
	m := rlsv3.RateLimitRequest{Domain: f.s.domain}
	for i := range f.s.descriptors {
		d := &f.s.descriptors[i]
		x := &commonv3.RateLimitDescriptor{}
		for _, e := range d.entries {
			x.Entries = append(x.Entries, &commonv3.RateLimitDescriptor_Entry{Key: e.key, Value: strings.ToValidUTF8(e.value.Format(&c), "!")})
		}
		if d.override {
			x.Limit = &commonv3.RateLimitDescriptor_RateLimitOverride{RequestsPerUnit: d.requests, Unit: typev3.RateLimitUnit(d.unit)}
		}
		if d.counts {
			x.HitsAddend = wrapperspb.UInt64(d.hits)
		}
		m.Descriptors = append(m.Descriptors, x)
	}
	b, _ := proto.Marshal(&m) // its strings are valid
	return b
}

// answer reads what the service has said. A code that is not known allows the
// connection, as in Envoy.
func answer(response []byte, st grpc.Status) (outcome, map[string]any) {
	var m rlsv3.RateLimitResponse
	if st.Code != grpc.OK || proto.Unmarshal(response, &m) != nil {
		return failed, nil
	}
	if m.OverallCode == rlsv3.RateLimitResponse_OVER_LIMIT {
		return overLimit, m.GetDynamicMetadata().AsMap()
	}
	return allowed, m.GetDynamicMetadata().AsMap()
}
