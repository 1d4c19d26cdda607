package tracing

import (
	"strings"

	"github.com/weirproxy/weir/proxy/http"
)

// b3 is Zipkin's propagation, in several headers or in one
// (github.com/openzipkin/b3-propagation).
type b3 struct {
	w3c bool // W3C headers are read where there are no B3 ones, and written too
}

const (
	b3Single  = "b3"
	b3TraceID = "x-b3-traceid"
	b3SpanID  = "x-b3-spanid"
	b3Parent  = "x-b3-parentspanid"
	b3Sampled = "x-b3-sampled"
	b3Flags   = "x-b3-flags"
)

func (b3) long() bool { return false }

func (f b3) extract(h *http.HeaderMap) (c Context, found, ok bool) {
	if v, has := h.GetName(b3Single); has {
		return parseB3(v)
	}
	id, hasID := h.GetName(b3SpanID)
	trace, hasTrace := h.GetName(b3TraceID)
	if v, has := h.GetName(b3Sampled); has {
		c.Sampled, c.decided = v == "1" || strings.EqualFold(v, "true"), true
	}
	if v, _ := h.GetName(b3Flags); v == "1" {
		c.Sampled, c.decided = true, true
	}
	if hasID && hasTrace {
		if !c.setTrace(padded(trace)) {
			return c, true, false
		}
		if c.ID, ok = parseHex(padded(id)); !ok {
			return c, true, false
		}
		if v, has := h.GetName(b3Parent); has && v != "" {
			if c.Parent, ok = parseHex(padded(v)); !ok {
				return c, true, false
			}
		}
		c.Remote = true
		return c, true, true
	}
	if f.w3c {
		if w, found, ok := (w3c{}).extract(h); found {
			w.decided = true
			return w, found, ok
		}
	}
	return c, c.decided, true
}

// padded is an id of 16 digits: in headers of their own ids may have fewer, as
// Envoy takes them.
func padded(id string) string {
	if len(id) == 0 || len(id) >= 16 {
		return id
	}
	return "0000000000000000"[len(id):] + id
}

// setTrace reads a trace id of 16 or 32 digits.
func (c *Context) setTrace(s string) (ok bool) {
	if len(s) == 32 {
		if c.TraceHigh, ok = parseHex(s[:16]); !ok {
			return false
		}
		s = s[16:]
	}
	c.TraceLow, ok = parseHex(s)
	return ok
}

// parseB3 reads {trace}-{span}[-{sampled}[-{parent}]], or the sampling alone.
func parseB3(v string) (c Context, found, ok bool) {
	c.single = true
	parts := strings.Split(v, "-")
	if len(parts) == 1 {
		c.Sampled, c.decided = v == "1" || v == "d", true
		return c, true, v == "0" || v == "1" || v == "d"
	}
	if len(parts) > 4 || !c.setTrace(parts[0]) || c.TraceHigh|c.TraceLow == 0 {
		return c, true, false
	}
	if c.ID, ok = parseHex(parts[1]); !ok {
		return c, true, false
	}
	if len(parts) > 2 {
		c.Sampled, c.decided = parts[2] == "1" || parts[2] == "d", true
	}
	if len(parts) > 3 {
		if c.Parent, ok = parseHex(parts[3]); !ok {
			return c, true, false
		}
	}
	c.Remote = true
	return c, true, true
}

func (f b3) inject(h *http.HeaderMap, s *Span) {
	var b [100]byte
	sampled := "0"
	if s.Sampled {
		sampled = "1"
	}
	if s.single {
		v := append(s.AppendTraceID(b[:0]), '-')
		v = append(append(s.AppendID(v), '-'), sampled...)
		if s.Parent != 0 {
			v = appendHex(append(v, '-'), s.Parent)
		}
		h.SetName(b3Single, string(v))
	} else {
		h.SetName(b3TraceID, string(s.AppendTraceID(b[:0])))
		h.SetName(b3SpanID, string(s.AppendID(b[:0])))
		if s.Parent != 0 {
			h.SetName(b3Parent, string(appendHex(b[:0], s.Parent)))
		}
		h.SetName(b3Sampled, sampled)
	}
	if f.w3c {
		h.SetName(traceParent, traceParentOf(s))
	}
}
