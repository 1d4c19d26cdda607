package ratelimit

import (
	"strings"

	commonv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/common/ratelimit/v3"
	rlsv3 "github.com/envoyproxy/go-control-plane/envoy/service/ratelimit/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/weirproxy/weir/proxy/grpc"
)

// Method is the method that services are asked by.
const Method = "/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit"

// Question gathers what a service is asked.
type Question struct{ m rlsv3.RateLimitRequest }

// Descriptor is a part of a question, to be filled.
type Descriptor struct{ m *commonv3.RateLimitDescriptor }

// Add adds a descriptor.
func (q *Question) Add() Descriptor {
	d := &commonv3.RateLimitDescriptor{}
	q.m.Descriptors = append(q.m.Descriptors, d)
	return Descriptor{d}
}

// Entry adds a pair to the descriptor.
func (d Descriptor) Entry(key, value string) {
	d.m.Entries = append(d.m.Entries, &commonv3.RateLimitDescriptor_Entry{Key: text(key), Value: text(value)})
}

// Override asks for another limit than the service's: unit is an
// envoy.type.v3.RateLimitUnit.
func (d Descriptor) Override(requests uint32, unit int32) {
	d.m.Limit = &commonv3.RateLimitDescriptor_RateLimitOverride{RequestsPerUnit: requests, Unit: typev3.RateLimitUnit(unit)}
}

// Hits has the request count as n.
func (d Descriptor) Hits(n uint64) { d.m.HitsAddend = wrapperspb.UInt64(n) }

// Empty tells that there is nothing to ask.
func (q *Question) Empty() bool { return len(q.m.Descriptors) == 0 }

// Bytes is the question as the service is sent it.
func (q *Question) Bytes(domain string) []byte {
	q.m.Domain = domain
	b, _ := proto.Marshal(&q.m) // its strings are valid
	return b
}

// text makes s fit for a protobuf string, which must be UTF-8.
func text(s string) string { return strings.ToValidUTF8(s, "!") }

// Outcome is what a service, or its failure, decides.
type Outcome uint8

const (
	Failed Outcome = iota
	Allowed
	OverLimit
)

// Read reads the answer of a call; m is nil when it has failed. A code that is
// not known allows, as in Envoy.
func Read(response []byte, st grpc.Status) (m *rlsv3.RateLimitResponse, o Outcome) {
	m = &rlsv3.RateLimitResponse{}
	switch {
	case st.Code != grpc.OK || proto.Unmarshal(response, m) != nil:
		return nil, Failed
	case m.OverallCode == rlsv3.RateLimitResponse_OVER_LIMIT:
		return m, OverLimit
	}
	return m, Allowed
}
