package tracing

import (
	"strings"

	"github.com/weirproxy/weir/proxy/http"
)

// Headers of W3C Trace Context.
const (
	traceParent = "traceparent"
	traceState  = "tracestate"
)

// w3c is W3C Trace Context.
type w3c struct{}

func (w3c) long() bool { return true }

// extract implements format: version-traceid-parentid-flags, section 3.2.
func (w3c) extract(h *http.HeaderMap) (c Context, found, ok bool) {
	v, has := h.GetName(traceParent)
	if !has {
		return c, false, true
	}
	if c, ok = parseTraceParent(v); !ok {
		return c, true, false
	}
	if state, has := h.Joined(traceState); has {
		c.State = strings.Clone(state)
	}
	return c, true, true
}

func parseTraceParent(v string) (c Context, ok bool) {
	if len(v) != 55 || v[2] != '-' || v[35] != '-' || v[52] != '-' || strings.EqualFold(v[:2], "ff") {
		return c, false
	}
	var okHigh, okLow, okID bool
	c.TraceHigh, okHigh = parseHex(v[3:19])
	c.TraceLow, okLow = parseHex(v[19:35])
	c.ID, okID = parseHex(v[36:52])
	// The version and the flags are read as hex, too.
	flags, okFlags := parseHex("000000000000" + v[:2] + v[53:55])
	if !okHigh || !okLow || !okID || !okFlags || c.TraceHigh|c.TraceLow == 0 || c.ID == 0 {
		return c, false
	}
	c.Sampled, c.Remote = flags&1 != 0, true
	return c, true
}

func (w3c) inject(h *http.HeaderMap, s *Span) {
	h.SetName(traceParent, traceParentOf(s))
	h.SetName(traceState, s.State)
}

func traceParentOf(s *Span) string {
	b := append(make([]byte, 0, 55), "00-"...)
	b = append(appendHex(appendHex(b, s.TraceHigh), s.TraceLow), '-')
	b = append(appendHex(b, s.ID), "-00"...)
	if s.Sampled {
		b[54] = '1'
	}
	return string(b)
}
