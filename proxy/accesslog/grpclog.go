package accesslog

import (
	"context"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	datav3 "github.com/envoyproxy/go-control-plane/envoy/data/accesslog/v3"
	alsv3 "github.com/envoyproxy/go-control-plane/envoy/service/accesslog/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/weirproxy/weir/proxy/formatter"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/stats"
	"github.com/weirproxy/weir/proxy/telemetry"
	"github.com/weirproxy/weir/proxy/tracing"
)

const alsMethod = "/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs"

// grpcLogger streams entries to Envoy's access log service.
type grpcLogger struct {
	queue      *telemetry.Queue[proto.Message] // HTTPAccessLogEntry or TCPAccessLogEntry
	server     telemetry.GRPC
	first      *alsv3.StreamAccessLogsMessage_Identifier
	tcp        bool
	stateNames []string
	tags       tracing.CustomTags
	request    []string // further headers, by lower-case name
	response   []string
	trailers   []string
	written    *stats.SharedCounter
	dropped    *stats.SharedCounter

	stream telemetry.Stream // the queue's goroutine's
}

func (l *grpcLogger) Log(worker int, c *formatter.Context) {
	var entry proto.Message
	if l.tcp {
		entry = &datav3.TCPAccessLogEntry{CommonProperties: l.common(c), ConnectionProperties: &datav3.ConnectionProperties{
			ReceivedBytes: c.Info.BytesReceived, SentBytes: c.Info.BytesSent}}
	} else {
		entry = l.httpEntry(c)
	}
	l.queue.Add(worker, entry, proto.Size(entry))
}

// Close sends what is left, soon.
func (l *grpcLogger) Close() { l.queue.Close() }

func (l *grpcLogger) send(ctx context.Context, entries []proto.Message) {
	m := &alsv3.StreamAccessLogsMessage{}
	if l.stream == nil {
		stream, err := l.server.Stream(ctx, alsMethod)
		if err != nil {
			l.dropped.Add(uint64(len(entries)))
			return
		}
		l.stream, m.Identifier = stream, l.first
	}
	if l.tcp {
		list := &alsv3.StreamAccessLogsMessage_TCPAccessLogEntries{}
		for _, e := range entries {
			list.LogEntry = append(list.LogEntry, e.(*datav3.TCPAccessLogEntry))
		}
		m.LogEntries = &alsv3.StreamAccessLogsMessage_TcpLogs{TcpLogs: list}
	} else {
		list := &alsv3.StreamAccessLogsMessage_HTTPAccessLogEntries{}
		for _, e := range entries {
			list.LogEntry = append(list.LogEntry, e.(*datav3.HTTPAccessLogEntry))
		}
		m.LogEntries = &alsv3.StreamAccessLogsMessage_HttpLogs{HttpLogs: list}
	}
	if err := l.stream.Send(m); err != nil {
		l.stream.Close()
		l.stream = nil
		l.dropped.Add(uint64(len(entries)))
		return
	}
	l.written.Add(uint64(len(entries)))
}

func (l *grpcLogger) httpEntry(c *formatter.Context) *datav3.HTTPAccessLogEntry {
	i := c.Info
	out := &datav3.HTTPAccessLogEntry{
		CommonProperties: l.common(c),
		Request: &datav3.HTTPRequestProperties{
			RequestBodyBytes: i.BytesReceived, UpstreamHeaderBytesSent: i.UpstreamHeaderSent, DownstreamHeaderBytesReceived: i.HeaderBytesReceived},
		Response: &datav3.HTTPResponseProperties{
			ResponseBodyBytes: i.BytesSent, ResponseCodeDetails: strings.Clone(i.ResponseCodeDetails),
			UpstreamHeaderBytesReceived: i.UpstreamHeaderReceived, DownstreamHeaderBytesSent: i.HeaderBytesSent},
	}
	switch i.Protocol {
	case "HTTP/1.0":
		out.ProtocolVersion = datav3.HTTPAccessLogEntry_HTTP10
	case "HTTP/1.1":
		out.ProtocolVersion = datav3.HTTPAccessLogEntry_HTTP11
	case "HTTP/2":
		out.ProtocolVersion = datav3.HTTPAccessLogEntry_HTTP2
	}
	if i.ResponseCode > 0 {
		out.Response.ResponseCode = wrapperspb.UInt32(uint32(i.ResponseCode))
	}
	if h := c.RequestHeaders; h != nil {
		l.addRequest(out.Request, h)
	}
	if h := c.ResponseHeaders; h != nil {
		out.Response.ResponseHeadersBytes = uint64(h.Bytes())
		out.Response.ResponseHeaders = pick(h, l.response)
	}
	if h := c.ResponseTrailers; h != nil {
		out.Response.ResponseTrailers = pick(h, l.trailers)
	}
	return out
}

func (l *grpcLogger) addRequest(r *datav3.HTTPRequestProperties, h *http.HeaderMap) {
	get := func(id http.HeaderID) string { return strings.Clone(h.Get(id)) }
	r.Scheme, r.Authority, r.Path = get(http.Scheme), get(http.Authority), get(http.Path)
	r.UserAgent, r.Referer, r.ForwardedFor = get(http.UserAgent), get(http.Referer), get(http.XForwardedFor)
	r.RequestId, r.OriginalPath = get(http.XRequestID), get(http.XEnvoyOriginalPath)
	r.RequestHeadersBytes = uint64(h.Bytes())
	r.RequestHeaders = pick(h, l.request)
	r.RequestMethod = corev3.RequestMethod(corev3.RequestMethod_value[h.Get(http.Method)])
}

// pick copies some headers; nil when there is none of them.
func pick(h *http.HeaderMap, names []string) map[string]string {
	var out map[string]string
	for _, n := range names {
		if v, ok := h.Joined(n); ok {
			if out == nil {
				out = map[string]string{}
			}
			out[n] = strings.Clone(v)
		}
	}
	return out
}
