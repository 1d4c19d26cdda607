package tracing

import (
	"strings"
	"time"

	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/network"
)

// Kind is a span's role.
type Kind uint8

const (
	Server Kind = iota
	Client
)

// Tag is a tag, or attribute, of a span.
type Tag struct{ Key, Value string }

// Event is something that happened at a time.
type Event struct {
	Name string
	At   time.Time
}

// Context is what a span's identity is, and what headers carry of it.
type Context struct {
	TraceHigh, TraceLow uint64
	ID, Parent          uint64
	Sampled             bool
	Remote              bool   // it came in a request's headers
	decided             bool   // Sampled was said there, too
	State               string // W3C tracestate
	single              bool   // it came in a b3 header
	datadog             string // x-datadog-tags
	origin              string // x-datadog-origin
	sky                 *skySegment
}

// Span is one operation. A nil Span takes every call and does nothing.
type Span struct {
	Context
	tracer *Tracer
	route  *RouteSpans // never nil
	worker int
	Name   string
	Kind   Kind
	Start  time.Time
	End    time.Time
	Tags   []Tag
	Events []Event
	remote bool   // its parent came in headers
	peer   string // the host that a SkyWalking span is for
}

// SetTag adds a tag, of a copy of value. A span that is not exported has none.
func (s *Span) SetTag(key, value string) {
	if s != nil && s.Sampled {
		s.Tags = append(s.Tags, Tag{key, strings.Clone(value)})
	}
}

// SetOperation renames the span.
func (s *Span) SetOperation(name string) {
	if s != nil && !s.tracer.byPath {
		s.Name = strings.Clone(name)
	}
}

// SetPeer says which host the span's request goes to, before it is injected.
func (s *Span) SetPeer(a network.Address) {
	if s != nil && s.sky != nil {
		s.peer = a.String()
	}
}

// Log adds an event.
func (s *Span) Log(name string, at time.Time) {
	if s != nil && s.Sampled {
		s.Events = append(s.Events, Event{name, at})
	}
}

// Inject writes the span's context into headers that go upstream.
func (s *Span) Inject(h *http.HeaderMap) {
	if s != nil {
		s.tracer.format.inject(h, s)
	}
}

// Spawn begins a child of s.
func (s *Span) Spawn(name string, now time.Time) *Span {
	if s == nil {
		return nil
	}
	child := &Span{Context: s.Context, tracer: s.tracer, route: s.route, worker: s.worker, Name: name, Kind: Client, Start: now}
	child.Parent, child.ID, child.Remote = s.ID, newID(), false
	if s.sky != nil {
		child.Name, child.ID = s.Name, s.sky.next
		s.sky.next++
	}
	return child
}

// Finish ends the span and gives it to the exporter.
func (s *Span) Finish(now time.Time) {
	if s == nil {
		return
	}
	s.End = now
	if s.Sampled {
		s.tracer.exporter.add(s)
	}
}

const hexDigits = "0123456789abcdef"

// appendHex appends n as 16 hex digits.
func appendHex(dst []byte, n uint64) []byte {
	for shift := 60; shift >= 0; shift -= 4 {
		dst = append(dst, hexDigits[n>>shift&15])
	}
	return dst
}

// AppendTraceID appends the trace's id as the format's logs show it.
func (s *Span) AppendTraceID(dst []byte) []byte {
	if s.sky != nil {
		return append(dst, s.sky.traceID...)
	}
	if s.TraceHigh != 0 || s.tracer.format.long() {
		dst = appendHex(dst, s.TraceHigh)
	}
	return appendHex(dst, s.TraceLow)
}

// AppendID appends the span's id.
func (s *Span) AppendID(dst []byte) []byte { return appendHex(dst, s.ID) }

// parseHex reads exactly 16 hex digits.
func parseHex(s string) (n uint64, ok bool) {
	if len(s) != 16 {
		return 0, false
	}
	for i := range 16 {
		c := s[i]
		switch {
		case c >= '0' && c <= '9':
			n = n<<4 | uint64(c-'0')
		case c >= 'a' && c <= 'f':
			n = n<<4 | uint64(c-'a'+10)
		case c >= 'A' && c <= 'F':
			n = n<<4 | uint64(c-'A'+10)
		default:
			return 0, false
		}
	}
	return n, true
}
