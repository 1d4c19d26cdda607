package tracing

import (
	"google.golang.org/protobuf/encoding/protowire"
)

// The messages of SkyWalking's trace protocol (skywalking-data-collect-protocol,
// language-agent/Tracing.proto), by field number.

const (
	skyExit      = 1    // SpanType
	skyHTTP      = 3    // SpanLayer
	skyComponent = 9000 // Envoy
)

// encode is the segment as a SegmentObject.
func (g *skySegment) encode(self skyWalking) []byte {
	b := appendText(nil, 1, g.traceID)
	b = appendText(b, 2, g.id)
	for _, s := range g.spans {
		b = appendMessage(b, 3, g.encodeSpan(s))
	}
	b = appendText(b, 4, self.service)
	return appendText(b, 5, self.instance)
}

// encodeSpan is a SpanObject.
func (g *skySegment) encodeSpan(s *Span) []byte {
	b := appendNumber(nil, 1, int64(s.ID))
	if s.ID == 0 {
		b = appendNumber(b, 2, -1)
	} else {
		b = appendNumber(b, 2, int64(s.Parent))
	}
	b = appendNumber(b, 3, s.Start.UnixMilli())
	b = appendNumber(b, 4, s.End.UnixMilli())
	if g.ref != nil && s.ID == 0 {
		b = appendMessage(b, 5, g.ref.encode())
	}
	b = appendText(b, 6, s.Name)
	peer, failed := s.peer, int64(0)
	var tags []byte
	for _, t := range s.Tags {
		switch t.Key {
		case "peer.address":
			peer = t.Value
			continue
		case tagError:
			failed = 1
		case "http.url":
			t.Key = "url"
		case tagStatusCode:
			t.Key = "status_code"
		}
		tags = appendMessage(tags, 12, appendText(appendText(nil, 1, t.Key), 2, t.Value))
	}
	b = appendText(b, 7, peer)
	if s.ID != 0 {
		b = appendNumber(b, 8, skyExit)
	}
	b = appendNumber(b, 9, skyHTTP)
	b = appendNumber(b, 10, skyComponent)
	b = appendNumber(b, 11, failed)
	b = append(b, tags...)
	for _, e := range s.Events {
		b = appendMessage(b, 13, appendMessage(appendNumber(nil, 1, e.At.UnixMilli()), 2, appendText(nil, 2, e.Name)))
	}
	return b
}

// encode is a SegmentReference.
func (r *skyReference) encode() []byte {
	b := appendText(nil, 2, r.traceID)
	b = appendText(b, 3, r.segment)
	b = appendNumber(b, 4, int64(r.span))
	b = appendText(b, 5, r.service)
	b = appendText(b, 6, r.instance)
	b = appendText(b, 7, r.endpoint)
	return appendText(b, 8, r.peer)
}

func appendText(b []byte, field protowire.Number, s string) []byte {
	if s == "" {
		return b
	}
	return protowire.AppendString(protowire.AppendTag(b, field, protowire.BytesType), s)
}

func appendNumber(b []byte, field protowire.Number, n int64) []byte {
	if n == 0 {
		return b
	}
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), uint64(n))
}

func appendMessage(b []byte, field protowire.Number, m []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, field, protowire.BytesType), m)
}
