package extauthz

import (
	"strconv"
	"time"

	"github.com/weirproxy/weir/proxy/http"
)

// loggingInfo tells logs of the call to the authorization server
// (emit_filter_state_stats). It is in the filter state under the filter's name.
type loggingInfo struct {
	latency time.Duration
	bytes   http.Bytes // over gRPC only
	called  bool
	grpc    bool
}

// leaveLoggingInfo puts the filter's loggingInfo into the filter state, unless
// something has its name there.
func (f *filter) leaveLoggingInfo() {
	if !f.logs {
		return
	}
	info := f.cb.StreamInfo()
	if _, taken := info.FilterState[f.cb.FilterName()]; taken {
		f.stats.FilterStateNameCollision.Inc()
		return
	}
	info.SetFilterState(f.cb.FilterName(), &f.logging)
}

// logCall notes how the call went that has ended.
func (f *filter) logCall() {
	if !f.logsCall {
		return
	}
	l := &f.logging
	l.called, l.latency = true, f.cb.Loop().Now()-f.askedAt
	if f.call != nil {
		l.grpc, l.bytes = true, f.call.Bytes()
	}
}

// Attribute is a field in expressions.
func (l *loggingInfo) Attribute(name string) (any, bool) {
	n, ok := l.number(name)
	return n, ok
}

// Field implements streaminfo.FilterStateFields.
func (l *loggingInfo) Field(name string) (string, bool) {
	n, ok := l.number(name)
	return strconv.FormatInt(n, 10), ok
}

func (l *loggingInfo) number(name string) (int64, bool) {
	switch name {
	case "latency_us":
		return l.latency.Microseconds(), l.called
	case "bytesSent":
		return int64(l.bytes.Sent), l.grpc
	case "bytesReceived":
		return int64(l.bytes.Received), l.grpc
	}
	return 0, false
}
