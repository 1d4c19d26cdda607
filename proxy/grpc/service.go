package grpc

import (
	"encoding/binary"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/weirproxy/weir/proxy/formatter"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/upstream/async"
)

// Service is a compiled GrpcService, immutable.
type Service struct {
	Cluster string
	Timeout time.Duration // of a unary call; 0: none

	authority    string
	forwardedFor string
	metadata     []Metadata
	maxMessage   int  // bytes of a message received
	plain        bool // without x-envoy- headers
}

// Metadata is a line that is sent at the beginning of each call; its name is in
// lower case.
type Metadata struct {
	name, value string
	format      *formatter.Formatter // of a value with substitution commands, for a stream
}

// MergeMetadata is m with that of more, in the place of what has the same name.
// It changes neither.
func MergeMetadata(m, more []Metadata) []Metadata {
	if len(m) == 0 || len(more) == 0 {
		return append(slices.Clip(m), more...)
	}
	m = slices.Clone(m)
	for _, x := range more {
		there := false
		for i := range m {
			if m[i].name == x.name {
				m[i], there = x, true
			}
		}
		if !there {
			m = append(m, x)
		}
	}
	return m
}

// WithMetadata is the service with more initial metadata, merged.
func (s *Service) WithMetadata(more []Metadata) *Service {
	out := *s
	out.metadata = MergeMetadata(s.metadata, more)
	return &out
}

// For is the service for calls on behalf of a stream, whose values are put in
// the places of the metadata's substitution commands. Elsewhere they stay.
func (s *Service) For(c *formatter.Context) *Service {
	if !slices.ContainsFunc(s.metadata, func(m Metadata) bool { return m.format != nil }) {
		return s
	}
	out := *s
	out.metadata = nil
	for _, m := range s.metadata {
		if m.format != nil {
			m.value = m.format.Format(c)
		}
		if m.value != "" {
			out.metadata = append(out.metadata, m)
		}
	}
	return &out
}

// defaultMaxMessage bounds a message received in bytes. Envoy has no bound.
const defaultMaxMessage = 16 << 20

// Codes of gRPC (google.golang.org/grpc/codes).
const (
	OK               = 0
	Unknown          = 2
	DeadlineExceeded = 4
	ResourceExceeded = 8
	Unimplemented    = 12
	Internal         = 13
	Unavailable      = 14
)

// Status is how a call ended.
type Status struct {
	Code    int
	Message string
	// Details are the response-code details of a call that no server answered.
	Details string
}

// Callbacks is who opened a stream.
type Callbacks interface {
	// OnMessage is given one message, valid during the call.
	OnMessage(m []byte)
	// OnClose ends the stream, unless it was reset.
	OnClose(Status)
}

// Stream is a call under way.
type Stream struct {
	service *Service
	s       *async.Stream
	cb      Callbacks
	in      network.Buffer
	loop    *network.Loop
	closed  bool
}

// Open starts a call of a method ("/package.Service/Method"). deadline is
// sent to the server and kept to from the moment the request is sent whole;
// 0: none. downstream may be nil.
func (s *Service) Open(c async.Client, method string, deadline time.Duration, downstream *network.Connection, cb Callbacks) *Stream {
	x := &Stream{service: s, cb: cb, loop: c.Loop()}
	x.in.Init(&x.loop.Pool)
	x.s = c.NewStream(s.Cluster, async.Options{Timeout: deadline, Downstream: downstream, External: s.plain}, x)
	if x.s == nil {
		x.loop.Post(func() { x.end(Status{Code: Unavailable, Message: "Cluster not available"}) })
		return x
	}
	h := x.s.Headers()
	h.Add(http.Method, "POST")
	h.Add(http.Path, method)
	h.Add(http.Authority, s.authority)
	h.Add(http.Scheme, "http")
	h.Add(http.TE, "trailers")
	if deadline > 0 {
		h.Add(http.GrpcTimeout, grpcTimeout(deadline))
	}
	h.Add(http.ContentType, "application/grpc")
	for _, m := range s.metadata {
		h.AddName(m.name, m.value)
	}
	if !s.plain {
		h.Set(http.XEnvoyInternal, "true")
		h.Add(http.XForwardedFor, s.forwardedFor)
	}
	x.s.SendHeaders(false)
	return x
}

// OnWritable has told told when the server takes no more for now (false), and
// when it does again (true).
func (x *Stream) OnWritable(told func(bool)) {
	if x.s != nil {
		x.s.OnWritable = told
	}
}

// Send sends a message; end tells that it is the last.
func (x *Stream) Send(m []byte, end bool) {
	if x.s == nil || x.closed {
		return
	}
	b := x.loop.NewBuffer()
	head := [5]byte{}
	binary.BigEndian.PutUint32(head[1:], uint32(len(m)))
	b.Append(head[:])
	b.Append(m)
	x.s.SendData(b, end)
}

// CloseSend ends the request.
func (x *Stream) CloseSend() {
	if x.s != nil && !x.closed {
		x.s.SendData(x.loop.NewBuffer(), true)
	}
}

// Reset gives the call up.
func (x *Stream) Reset() {
	x.cb = nil
	if x.s != nil {
		x.s.Reset()
	}
	x.in.Reset()
	x.closed = true
}

// Bytes are what has gone over the wire so far.
func (x *Stream) Bytes() http.Bytes {
	if x.s == nil {
		return http.Bytes{}
	}
	return x.s.Bytes()
}

// Closed tells whether the call has ended.
func (x *Stream) Closed() bool { return x.closed }

// OnHeaders implements async.StreamCallbacks.
func (x *Stream) OnHeaders(h *http.HeaderMap, end bool) {
	switch {
	case h.Get(http.Status) != "200":
		if !end {
			x.s.Reset()
		}
		x.end(statusOfHTTP(h.Get(http.Status)))
	case end:
		x.end(statusOf(h))
	}
}

// OnData implements async.StreamCallbacks.
func (x *Stream) OnData(b *network.Buffer, end bool) {
	x.in.Move(b)
	for !x.closed && x.in.Len() >= 5 {
		head := x.in.Linearize(5)
		size := int(binary.BigEndian.Uint32(head[1:]))
		if head[0] != 0 || size > x.service.maxMessage {
			x.fail(Status{Code: Internal, Message: "a message that is compressed or too large"})
			return
		}
		if x.in.Len() < 5+size {
			break
		}
		m := x.in.Linearize(5 + size)[5:]
		if x.cb != nil {
			x.cb.OnMessage(m)
		}
		if x.closed {
			return
		}
		x.in.Drain(5 + size)
	}
	if end {
		x.end(Status{Code: Unknown, Message: "the stream ends without a status"})
	}
}

// OnTrailers implements async.StreamCallbacks.
func (x *Stream) OnTrailers(t *http.HeaderMap) { x.end(statusOf(t)) }

// OnFailure implements async.StreamCallbacks.
func (x *Stream) OnFailure(f async.Failure) {
	code := Unavailable
	if f.Status == 504 {
		code = DeadlineExceeded
	}
	x.end(Status{code, f.Body, failureDetails(f)})
}

// failureDetails names a failure as a router's response-code details do.
func failureDetails(f async.Failure) string {
	switch {
	case f.Status == 504:
		return "response_timeout"
	case f.Reason == http.ResetNone:
		return "no_healthy_upstream"
	}
	reason := f.Reason.String()
	if f.Details != "" {
		reason += "|" + f.Details
	}
	return "upstream_reset_before_response_started{" + strings.ReplaceAll(reason, " ", "_") + "}"
}

func (x *Stream) fail(s Status) {
	x.s.Reset()
	x.end(s)
}

func (x *Stream) end(s Status) {
	if x.closed {
		return
	}
	x.closed = true
	x.in.Reset()
	if cb := x.cb; cb != nil {
		x.cb = nil
		cb.OnClose(s)
	}
}

// statusOf is the status in a message's trailers, or in its only headers.
func statusOf(h *http.HeaderMap) Status {
	code, err := strconv.Atoi(h.Get(http.GrpcStatus))
	if err != nil || code < 0 {
		return Status{Code: Unknown, Message: "the stream ends without a status"}
	}
	return Status{Code: code, Message: strings.Clone(h.Get(http.GrpcMessage))}
}

// statusOfHTTP maps an HTTP status (gRPC's doc/http-grpc-status-mapping.md).
func statusOfHTTP(status string) Status {
	code := Unknown
	switch status {
	case "400":
		code = Internal
	case "401":
		code = 16
	case "403":
		code = 7
	case "404":
		code = Unimplemented
	case "429", "502", "503", "504":
		code = Unavailable
	}
	return Status{Code: code, Message: "HTTP status " + strings.Clone(status)}
}

// grpcTimeout is a grpc-timeout header's value: at most 8 digits and a unit.
func grpcTimeout(d time.Duration) string {
	ms := (d + time.Millisecond - 1) / time.Millisecond
	if ms < 1e8 {
		return strconv.FormatInt(int64(ms), 10) + "m"
	}
	return strconv.FormatInt(min(int64(d/time.Second), 99999999), 10) + "S"
}
