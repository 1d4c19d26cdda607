package extproc

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/weirproxy/weir/proxy/grpc"
	"github.com/weirproxy/weir/proxy/http"
)

// loggingInfo tells logs of the conversation with the processor. It is in the
// filter state under the filter's name; Envoy's is called ExtProcLoggingInfo.
type loggingInfo struct {
	calls   [2][3]callStats // by direction and kind of message
	effects [2][3]effect
	stream  *grpc.Stream // the conversation
	cluster string       // the processor's, once it is asked

	failedOpen, immediate bool
}

// callStats are a processor's replies to one kind of message.
type callStats struct {
	n, status           int // how many; the last one's gRPC status
	latency, total, max time.Duration
}

// effect is what a reply did to the message.
type effect int

const (
	noEffect effect = iota
	mutated
	rejected // what the reply ordered must not be done
)

// The gRPC statuses of calls that ended otherwise than by a reply or a
// server's word.
const (
	invalidArgument    = 3
	failedPrecondition = 9
	aborted            = 10
)

// note records how a call has ended.
func (l *loggingInfo) note(d direction, k kind, status int, latency time.Duration) {
	c := &l.calls[d][k]
	c.n++
	c.status, c.latency, c.total, c.max = status, latency, c.total+latency, max(c.max, latency)
}

// noteEnd records how the calls have ended that are not answered.
func (f *filter) noteEnd(status int) {
	for d := range f.phases {
		p := &f.phases[d]
		if p.f == nil {
			continue
		}
		switch {
		case p.waitHeaders:
			p.note(headers, status)
		case p.waitBody || len(p.pieces) > 0:
			p.note(body, status)
		case p.waitTrailers:
			p.note(trailers, status)
		}
	}
}

func (p *phase) note(k kind, status int) {
	p.f.logging.note(p.d, k, status, p.f.cb.Loop().Now()-p.asked)
}

// answeredAny tells whether the processor has answered at all.
func (l *loggingInfo) answeredAny() bool {
	for d := range l.calls {
		for k := range l.calls[d] {
			if c := &l.calls[d][k]; c.n > 0 && c.status == grpc.OK {
				return true
			}
		}
	}
	return false
}

func (l *loggingInfo) bytes() http.Bytes {
	if l.stream == nil {
		return http.Bytes{}
	}
	return l.stream.Bytes()
}

// fields calls yield with each field that has a value: an int64, a bool or a
// string.
func (l *loggingInfo) fields(yield func(name string, value any)) {
	for d, direction := range [2]string{"request_", "response_"} {
		for k, kind := range [3]string{"header_", "body_", "trailer_"} {
			name, c := direction+kind, &l.calls[d][k]
			yield(name+"processing_effect", int64(l.effects[d][k]))
			switch {
			case c.n == 0:
			case k == int(body):
				yield(name+"call_count", int64(c.n))
				yield(name+"total_latency_us", c.total.Microseconds())
				yield(name+"max_latency_us", c.max.Microseconds())
				yield(name+"last_call_status", int64(c.status))
			default:
				yield(name+"latency_us", c.latency.Microseconds())
				yield(name+"call_status", int64(c.status))
			}
		}
	}
	b := l.bytes()
	yield("bytes_sent", int64(b.Sent))
	yield("bytes_received", int64(b.Received))
	yield("grpc_status_before_first_call", int64(0)) // whatever it was, in Envoy
	yield("destination", l.cluster)
	yield("failed_open", l.failedOpen)
	yield("received_immediate_response", l.immediate)
}

// Attribute is a field in expressions.
func (l *loggingInfo) Attribute(name string) (found any, ok bool) {
	l.fields(func(n string, v any) {
		if n == name {
			found, ok = v, true
		}
	})
	if b, is := found.(bool); is {
		found = int64(0)
		if b {
			found = int64(1)
		}
	}
	return found, ok
}

// Field implements streaminfo.FilterStateFields.
func (l *loggingInfo) Field(name string) (string, bool) {
	switch v, _ := l.Attribute(name); v := v.(type) {
	case int64:
		return strconv.FormatInt(v, 10), true
	case string:
		return v, true
	}
	return "", false
}

// String implements streaminfo.FilterStateObject.
func (l *loggingInfo) String() string {
	var out strings.Builder
	for d, direction := range [2]string{"r", "s"} {
		for k, kind := range [3]string{"h:", "b:", "t:"} {
			c := &l.calls[d][k]
			if c.n == 0 {
				continue
			}
			out.WriteString(direction + kind)
			latency := c.latency
			if k == int(body) {
				out.WriteString(strconv.Itoa(c.n) + ":")
				latency = c.total
			}
			out.WriteString(strconv.FormatInt(latency.Microseconds(), 10) + ":" + strconv.Itoa(c.status) + ",")
		}
	}
	b := l.bytes()
	out.WriteString("bs:" + strconv.FormatUint(b.Sent, 10) + ",br:" + strconv.FormatUint(b.Received, 10) + ",os:0,ds:" + l.cluster)
	return out.String()
}

// TypedJSON is the object as the JSON of a protobuf, a Struct.
func (l *loggingInfo) TypedJSON() string {
	values := map[string]any{}
	l.fields(func(name string, v any) { values[name] = v })
	b, err := json.Marshal(values)
	if err != nil {
		panic(err) // there are numbers, strings and truth values only
	}
	return string(b)
}
