package tracing

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/stats"
	"github.com/weirproxy/weir/proxy/telemetry"
)

// skySegment is what SkyWalking has of one request in one process: all its
// spans. It belongs to the request's worker until its first span has ended, and
// then to the exporter.
type skySegment struct {
	traceID, id string
	ref         *skyReference // nil: the trace begins here
	spans       []*Span       // that have ended
	next        uint64        // the next span's id
}

// skyReference is where the segment was called from: the header sw8.
type skyReference struct {
	traceID, segment, service, instance, endpoint, peer string
	span                                                int32
}

// add takes a span that has ended, and tells whether the segment is complete.
func (g *skySegment) add(s *Span) (complete bool) {
	g.spans = append(g.spans, s)
	return s.ID == 0
}

// skyWalking is SkyWalking's propagation: the header sw8, version 3.
type skyWalking struct{ service, instance string }

const skyHeader = "sw8"

func (skyWalking) long() bool { return true }

// extract implements format. A header that can't be read is as good as none,
// and whether it says sampled does not matter, as in Envoy.
func (skyWalking) extract(h *http.HeaderMap) (c Context, found, ok bool) {
	v, has := h.GetName(skyHeader)
	if !has {
		return c, false, true
	}
	ref, good := parseSW8(v)
	if !good {
		return c, false, true
	}
	return Context{Remote: true, sky: &skySegment{ref: ref}}, true, true
}

// parseSW8 reads sample-trace-segment-span-service-instance-endpoint-peer, all
// in base64 but sample and span.
func parseSW8(v string) (*skyReference, bool) {
	parts := strings.Split(v, "-")
	if len(parts) != 8 {
		return nil, false
	}
	span, err := strconv.ParseInt(parts[3], 10, 32)
	if err != nil || parts[0] != "0" && parts[0] != "1" {
		return nil, false
	}
	r := &skyReference{span: int32(span)}
	for i, to := range map[int]*string{1: &r.traceID, 2: &r.segment, 4: &r.service, 5: &r.instance, 6: &r.endpoint, 7: &r.peer} {
		b, err := base64.StdEncoding.DecodeString(parts[i])
		if err != nil || len(b) == 0 {
			return nil, false
		}
		*to = string(b)
	}
	return r, true
}

// inject implements format: only tries pass the trace on.
func (f skyWalking) inject(h *http.HeaderMap, s *Span) {
	if s.ID == 0 || !s.Sampled {
		return
	}
	encode := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	h.SetName(skyHeader, strings.Join([]string{
		"1", encode(s.sky.traceID), encode(s.sky.id), strconv.FormatUint(s.ID, 10),
		encode(f.service), encode(f.instance), encode(s.Name), encode(s.peer),
	}, "-"))
}

// beginSkyWalking begins a segment, of the trace that the client's is of.
func beginSkyWalking(_ *Tracer, parent *Context, traced bool) Context {
	g := &skySegment{id: newUUID(), next: 1}
	if parent != nil {
		g.ref = parent.sky.ref
		g.traceID = g.ref.traceID
	} else {
		g.traceID = newUUID()
	}
	return Context{Sampled: traced, sky: g}
}

// newUUID is a random UUID, version 4.
func newUUID() string {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:], newID())
	binary.BigEndian.PutUint64(b[8:], newID())
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// skyExporter streams segments to a SkyWalking backend.
type skyExporter struct {
	skyWalking
	queue         *telemetry.Queue[*skySegment]
	server        telemetry.GRPC
	stream        telemetry.Stream // nil: none is open
	sent, dropped *stats.SharedCounter
}

const skyMethod = "/skywalking.v3.TraceSegmentReportService/collect"

func (e *skyExporter) add(s *Span) {
	if s.sky.add(s) {
		e.queue.Add(s.worker, s.sky, 1)
	}
}

func (e *skyExporter) close() { e.queue.Close() }

func (e *skyExporter) send(ctx context.Context, segments []*skySegment) {
	for _, g := range segments {
		if e.stream == nil {
			var err error
			if e.stream, err = e.server.Stream(ctx, skyMethod); err != nil {
				e.stream = nil
				e.dropped.Inc()
				continue
			}
		}
		slices.SortFunc(g.spans, func(a, b *Span) int { return int(a.ID) - int(b.ID) })
		// Nothing else of weir speaks this protocol, so there is no message of
		// it: the fields of an empty one are set as the bytes they are.
		m := &emptypb.Empty{}
		m.ProtoReflect().SetUnknown(g.encode(e.skyWalking))
		if err := e.stream.Send(m); err != nil {
			e.stream.Close()
			e.stream = nil
			e.dropped.Inc()
			continue
		}
		e.sent.Inc()
	}
}
