//go:build oracle

package oracle

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	datav3 "github.com/envoyproxy/go-control-plane/envoy/data/accesslog/v3"
	alsv3 "github.com/envoyproxy/go-control-plane/envoy/service/accesslog/v3"
	metricsv3 "github.com/envoyproxy/go-control-plane/envoy/service/metrics/v3"
	logspb "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	otelmetricspb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	tracespb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"
)

// collector takes the telemetry of the proxy under test: OpenTelemetry and
// Envoy's services over gRPC, Zipkin's spans over HTTP.
type collector struct {
	mu    sync.Mutex
	items []string
	more  chan struct{}
}

// startCollector listens on two ports, for gRPC and for HTTP.
func startCollector(t *testing.T) (c *collector, grpcPort, httpPort int) {
	t.Helper()
	c = &collector{more: make(chan struct{}, 1)}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer(grpc.UnknownServiceHandler(c.serve))
	go s.Serve(l)
	t.Cleanup(s.Stop)
	web := httptest.NewServer(c)
	t.Cleanup(web.Close)
	return c, l.Addr().(*net.TCPAddr).Port, web.Listener.Addr().(*net.TCPAddr).Port
}

func (c *collector) add(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.items = append(c.items, fmt.Sprintf(format, args...))
	select {
	case c.more <- struct{}{}:
	default:
	}
}

// wait is what has come once there are n items, sorted: the order is chance.
func (c *collector) wait(n int) []string {
	deadline := time.After(10 * time.Second)
	for {
		c.mu.Lock()
		items := slices.Clone(c.items)
		c.mu.Unlock()
		if len(items) >= n {
			slices.Sort(items)
			return items
		}
		select {
		case <-c.more:
		case <-deadline:
			return append(items, fmt.Sprintf("%d are missing", n-len(items)))
		}
	}
}

func (c *collector) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.items = nil
}

func (c *collector) serve(_ any, st grpc.ServerStream) error {
	method, _ := grpc.MethodFromServerStream(st)
	for {
		var in, out proto.Message
		switch {
		case strings.Contains(method, "TraceService"):
			in, out = &tracespb.ExportTraceServiceRequest{}, &tracespb.ExportTraceServiceResponse{}
		case strings.Contains(method, "LogsService"):
			in, out = &logspb.ExportLogsServiceRequest{}, &logspb.ExportLogsServiceResponse{}
		case strings.Contains(method, "v1.MetricsService"):
			in, out = &otelmetricspb.ExportMetricsServiceRequest{}, &otelmetricspb.ExportMetricsServiceResponse{}
		case strings.Contains(method, "AccessLogService"):
			in = &alsv3.StreamAccessLogsMessage{}
		case strings.Contains(method, "MetricsService"):
			in = &metricsv3.StreamMetricsMessage{}
		case strings.Contains(method, "TraceSegmentReportService"):
			in = &emptypb.Empty{} // all of it is unknown fields
		}
		if err := st.RecvMsg(in); err != nil {
			return nil
		}
		c.take(in)
		if out != nil {
			return st.SendMsg(out)
		}
	}
}

func (c *collector) take(m proto.Message) {
	switch m := m.(type) {
	case *emptypb.Empty:
		c.add("segment %s", skyWalking(m.ProtoReflect().GetUnknown()))
	case *tracespb.ExportTraceServiceRequest:
		for _, r := range m.ResourceSpans {
			for _, scope := range r.ScopeSpans {
				for _, s := range scope.Spans {
					parent := "a root"
					if len(s.ParentSpanId) > 0 {
						parent = "a child"
					}
					var events []string
					for _, e := range s.Events {
						events = append(events, e.Name)
					}
					c.add("span %s %v %s flags %x state %q status %v %s events %v", s.Name, s.Kind, parent, s.Flags, s.TraceState, s.GetStatus().GetCode(), attributes(s.Attributes), events)
				}
			}
		}
	case *logspb.ExportLogsServiceRequest:
		for _, r := range m.ResourceLogs {
			for _, scope := range r.ScopeLogs {
				for _, l := range scope.LogRecords {
					c.add("log %s of %s: %s %s", "record", attributes(r.Resource.GetAttributes()), compact(l.Body), attributes(l.Attributes))
				}
			}
		}
	case *alsv3.StreamAccessLogsMessage:
		if m.Identifier != nil {
			c.add("stream of %s/%s to %s", m.Identifier.Node.GetId(), m.Identifier.Node.GetCluster(), m.Identifier.LogName)
		}
		for _, e := range m.GetHttpLogs().GetLogEntry() {
			steady(e.CommonProperties)
			// The codecs count bytes by rules of their own.
			for _, p := range []*uint64{&e.Request.RequestHeadersBytes, &e.Request.UpstreamHeaderBytesSent, &e.Request.DownstreamHeaderBytesReceived,
				&e.Response.ResponseHeadersBytes, &e.Response.UpstreamHeaderBytesReceived, &e.Response.DownstreamHeaderBytesSent} {
				*p = 0
			}
			e.Request.RequestId = ""
			c.add("entry %s", compact(e))
		}
		for _, e := range m.GetTcpLogs().GetLogEntry() {
			steady(e.CommonProperties)
			c.add("entry %s", compact(e))
		}
	}
}

// steady takes out of an entry what differs from run to run.
func steady(p *datav3.AccessLogCommon) {
	for _, f := range []string{"downstream_remote_address", "downstream_local_address", "downstream_direct_remote_address", "start_time", "upstream_local_address",
		"time_to_last_rx_byte", "time_to_first_upstream_tx_byte", "time_to_last_upstream_tx_byte", "time_to_first_upstream_rx_byte",
		"time_to_last_upstream_rx_byte", "time_to_first_downstream_tx_byte", "time_to_last_downstream_tx_byte", "duration", "stream_id",
		"downstream_wire_bytes_sent", "downstream_wire_bytes_received", "upstream_wire_bytes_sent", "upstream_wire_bytes_received"} {
		m := p.ProtoReflect()
		for i := range m.Descriptor().Fields().Len() {
			if fd := m.Descriptor().Fields().Get(i); string(fd.Name()) == f {
				m.Clear(fd)
			}
		}
	}
}

// unsteady are attributes whose values differ from run to run.
var unsteady = []string{"guid:x-request-id", "http.url", "upstream_address", "peer.address"}

func attributes(list []*commonpb.KeyValue) string {
	var out []string
	for _, kv := range list {
		value := compact(kv.Value)
		if slices.Contains(unsteady, kv.Key) {
			value = "…"
		}
		out = append(out, kv.Key+"="+value)
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

// compact is a message as JSON without protojson's changing spaces.
func compact(m proto.Message) string {
	b, err := protojson.Marshal(m)
	if err != nil {
		return err.Error()
	}
	var v any
	json.Unmarshal(b, &v)
	b, _ = json.Marshal(v)
	return string(b)
}

// ServeHTTP takes Zipkin's spans, and OpenTelemetry's.
func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b, _ := io.ReadAll(r.Body)
	protobuf := r.Header.Get("content-type") == "application/x-protobuf"
	if protobuf && strings.HasSuffix(r.URL.Path, "/spans") {
		for _, s := range zipkinProtos(b) {
			c.add("zipkin to %s %s: %s", r.Host, r.URL, s)
		}
		w.WriteHeader(http.StatusAccepted)
		return
	}
	if protobuf {
		m := &tracespb.ExportTraceServiceRequest{}
		if err := proto.Unmarshal(b, m); err != nil {
			c.add("not OpenTelemetry: %v %s", err, base64.StdEncoding.EncodeToString(b))
		}
		c.add("posted to %s %s %s", r.Host, r.URL, r.Header.Get("x-k"))
		c.take(m)
		return
	}
	var spans []map[string]any
	if err := json.Unmarshal(b, &spans); err != nil {
		c.add("not Zipkin: %v %s", err, b)
	}
	for _, s := range spans {
		for _, id := range []string{"traceId", "id", "parentId"} {
			if v, ok := s[id].(string); ok {
				s[id] = len(v)
			}
		}
		for _, k := range []string{"timestamp", "duration", "localEndpoint"} {
			delete(s, k)
		}
		if tags, ok := s["tags"].(map[string]any); ok {
			for _, k := range unsteady {
				if tags[k] != nil {
					tags[k] = "…"
				}
			}
		}
		var events []string
		if list, ok := s["annotations"].([]any); ok {
			for _, a := range list {
				events = append(events, fmt.Sprint(a.(map[string]any)["value"]))
			}
		}
		s["annotations"] = events
		out, _ := json.Marshal(s)
		c.add("zipkin to %s %s: %s", r.Host, r.URL, out)
	}
	w.WriteHeader(http.StatusAccepted)
}
