package tracing

import (
	"encoding/hex"
	"maps"
	"net/netip"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// zipkinProto is a list of spans as zipkin.proto3.ListOfSpans
// (github.com/openzipkin/zipkin-api, zipkin.proto).
func zipkinProto(spans []zipkinSpan) (b []byte) {
	for i := range spans {
		b = appendMessage(b, 1, spans[i].proto())
	}
	return b
}

var zipkinKinds = map[string]int64{"CLIENT": 1, "SERVER": 2}

func (s *zipkinSpan) proto() (b []byte) {
	b = appendMessage(b, 1, unhex(s.TraceID))
	if s.ParentID != "" {
		b = appendMessage(b, 2, unhex(s.ParentID))
	}
	b = appendMessage(b, 3, unhex(s.ID))
	b = appendNumber(b, 4, zipkinKinds[s.Kind])
	b = appendText(b, 5, s.Name)
	b = appendFixed(b, 6, uint64(s.Timestamp))
	b = appendNumber(b, 7, s.Duration)
	b = appendMessage(b, 8, s.LocalEndpoint.proto())
	for _, a := range s.Annotations {
		b = appendMessage(b, 10, appendText(appendFixed(nil, 1, uint64(a.Timestamp)), 2, a.Value))
	}
	for _, k := range slices.Sorted(maps.Keys(s.Tags)) {
		b = appendMessage(b, 11, appendText(appendText(nil, 1, k), 2, s.Tags[k]))
	}
	if s.Shared {
		b = appendNumber(b, 13, 1)
	}
	return b
}

func (e *zipkinEndpoint) proto() (b []byte) {
	b = appendText(b, 1, e.ServiceName)
	if ip, err := netip.ParseAddr(e.IPv4); err == nil {
		b = appendMessage(b, 2, ip.AsSlice())
	}
	if ip, err := netip.ParseAddr(e.IPv6); err == nil {
		b = appendMessage(b, 3, ip.AsSlice())
	}
	return appendNumber(b, 4, int64(e.Port))
}

// unhex is an id, which is always hex digits, as bytes.
func unhex(id string) []byte {
	b, _ := hex.DecodeString(id)
	return b
}

func appendFixed(b []byte, field protowire.Number, v uint64) []byte {
	return protowire.AppendFixed64(protowire.AppendTag(b, field, protowire.Fixed64Type), v)
}
