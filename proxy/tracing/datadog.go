package tracing

import (
	"context"
	"encoding/binary"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/weirproxy/weir/internal/buildinfo"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/telemetry"
)

// datadog is Datadog's propagation, with W3C Trace Context beside it.
type datadog struct{}

const (
	datadogTrace    = "x-datadog-trace-id"
	datadogParent   = "x-datadog-parent-id"
	datadogPriority = "x-datadog-sampling-priority"
	datadogTags     = "x-datadog-tags"
	datadogOrigin   = "x-datadog-origin"
	datadogTraceTag = "_dd.p.tid=" // the trace id's high half, in datadogTags
)

func (datadog) long() bool { return true }

func (datadog) extract(h *http.HeaderMap) (c Context, found, ok bool) {
	trace, has := h.GetName(datadogTrace)
	if !has {
		c, found, ok = w3c{}.extract(h)
		c.decided = found
		return c, found && ok, true // one that can't be read is as good as none
	}
	low, err := strconv.ParseUint(trace, 10, 64)
	if err != nil || low == 0 {
		return c, false, true
	}
	parent, _ := h.GetName(datadogParent)
	id, _ := strconv.ParseUint(parent, 10, 64)
	c = Context{TraceLow: low, ID: id, Remote: true}
	if v, has := h.GetName(datadogPriority); has {
		n, err := strconv.Atoi(v)
		c.decided, c.Sampled = err == nil, n > 0
	}
	if v, has := h.GetName(datadogTags); has {
		c.datadog = strings.Clone(v)
		if _, rest, ok := strings.Cut(v, datadogTraceTag); ok && len(rest) >= 16 {
			c.TraceHigh, _ = parseHex(rest[:16])
		}
	}
	if v, has := h.GetName(datadogOrigin); has {
		c.origin = strings.Clone(v)
	}
	return c, true, true
}

func (datadog) inject(h *http.HeaderMap, s *Span) {
	h.SetName(datadogTrace, strconv.FormatUint(s.TraceLow, 10))
	h.SetName(datadogParent, strconv.FormatUint(s.ID, 10))
	priority := "0"
	if s.Sampled {
		priority = "1"
	}
	h.SetName(datadogPriority, priority)
	if s.origin != "" {
		h.SetName(datadogOrigin, s.origin)
	}
	if s.datadog != "" {
		h.SetName(datadogTags, s.datadog)
	}
	h.SetName(traceParent, traceParentOf(s))
	h.SetName(traceState, "dd=s:"+priority+";p:"+string(s.AppendID(nil)))
}

// beginDatadog continues a parent's trace, or begins one.
func beginDatadog(_ *Tracer, parent *Context, traced bool) Context {
	if parent == nil {
		// The high half is the time in seconds, so that ids sort by it.
		high := uint64(time.Now().Unix()) << 32
		return Context{TraceHigh: high, TraceLow: newID(), ID: newID(), Sampled: traced, datadog: datadogTraceTag + string(appendHex(nil, high)) + ",_dd.p.dm=-0"}.rooted()
	}
	c := *parent
	c.ID, c.Parent = newID(), parent.ID
	c.Sampled = traced && (parent.Sampled || !parent.decided)
	return c
}

// rooted gives the first span of a trace the trace's id, as Datadog's tracers do.
func (c Context) rooted() Context {
	c.ID = c.TraceLow
	return c
}

// datadogExporter sends spans to a Datadog agent (its API /v0.4/traces).
type datadogExporter struct {
	queue   *telemetry.Queue[*Span]
	http    telemetry.HTTP
	host    string
	service string
}

func (e *datadogExporter) add(s *Span) { e.queue.Add(s.worker, s, 1) }
func (e *datadogExporter) close()      { e.queue.Close() }

func (e *datadogExporter) send(ctx context.Context, spans []*Span) {
	byTrace := map[[2]uint64][]*Span{}
	var order [][2]uint64
	for _, s := range spans {
		k := [2]uint64{s.TraceHigh, s.TraceLow}
		if byTrace[k] == nil {
			order = append(order, k)
		}
		byTrace[k] = append(byTrace[k], s)
	}
	b := packArray(nil, len(order))
	for _, k := range order {
		b = packArray(b, len(byTrace[k]))
		for _, s := range byTrace[k] {
			b = e.pack(b, s)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, datadogTimeout)
	defer cancel()
	e.http.Do(ctx, telemetry.Request{Host: e.host, Path: "/v0.4/traces", Body: b, Headers: [][2]string{
		{"content-type", "application/msgpack"}, {"datadog-meta-lang", "go"}, {"datadog-meta-tracer-version", buildinfo.Version()},
		{"x-datadog-trace-count", strconv.Itoa(len(order))},
	}})
}

const datadogTimeout = 2 * time.Second

func (e *datadogExporter) pack(b []byte, s *Span) []byte {
	failed := uint64(0)
	meta := map[string]string{"language": "go", datadogTraceTag[:len(datadogTraceTag)-1]: string(appendHex(nil, s.TraceHigh))}
	for _, t := range s.Tags {
		meta[t.Key] = t.Value
		if t.Key == tagError {
			failed = 1
		}
	}
	b = packMap(b, 12)
	b = packString(packString(b, "service"), e.service)
	b = packString(packString(b, "name"), "envoy.proxy")
	b = packString(packString(b, "resource"), s.Name)
	b = packString(packString(b, "type"), "web")
	b = packUint(packString(b, "trace_id"), s.TraceLow)
	b = packUint(packString(b, "span_id"), s.ID)
	b = packUint(packString(b, "parent_id"), s.Parent)
	b = packUint(packString(b, "start"), uint64(s.Start.UnixNano()))
	b = packUint(packString(b, "duration"), uint64(s.End.Sub(s.Start)))
	b = packUint(packString(b, "error"), failed)
	b = packMap(packString(b, "meta"), len(meta))
	for k, v := range meta {
		b = packString(packString(b, k), v)
	}
	b = packMap(packString(b, "metrics"), 1)
	return packFloat(packString(b, "_sampling_priority_v1"), 1)
}

// MessagePack, as much of it as spans need (github.com/msgpack/msgpack spec.md).

func packArray(b []byte, n int) []byte {
	return binary.BigEndian.AppendUint32(append(b, 0xdd), uint32(n))
}
func packMap(b []byte, n int) []byte {
	return binary.BigEndian.AppendUint32(append(b, 0xdf), uint32(n))
}
func packUint(b []byte, n uint64) []byte {
	return binary.BigEndian.AppendUint64(append(b, 0xcf), n)
}
func packFloat(b []byte, f float64) []byte {
	return binary.BigEndian.AppendUint64(append(b, 0xcb), math.Float64bits(f))
}
func packString(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint32(append(b, 0xdb), uint32(len(s))), s...)
}
