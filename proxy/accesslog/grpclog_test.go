package accesslog

import (
	"context"
	"errors"
	"testing"
	"time"

	accesslogv3 "github.com/envoyproxy/go-control-plane/envoy/config/accesslog/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	alsv3 "github.com/envoyproxy/go-control-plane/envoy/service/accesslog/v3"
	logspb "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/access_loggers/grpc/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/access_loggers/open_telemetry/v3"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/formatter"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/stats"
	"github.com/weirproxy/weir/proxy/streaminfo"
	"github.com/weirproxy/weir/proxy/telemetry"
)

// service is a collector in memory; its first stream breaks after a message.
type service struct{ got chan proto.Message }

func (s service) Close() {}

func (s service) GRPC(field.Path, *corev3.GrpcService) (telemetry.GRPC, error) { return s, nil }
func (s service) HTTP(string) telemetry.HTTP                                   { return nil }
func (s service) Node() *corev3.Node                                           { return &corev3.Node{Id: "n"} }
func (s service) Stream(context.Context, string) (telemetry.Stream, error) {
	return &brittle{s: s}, nil
}
func (s service) Call(_ context.Context, _ string, request, _ proto.Message) error {
	s.got <- request
	return nil
}

type brittle struct {
	s    service
	sent int
}

func (b *brittle) Close() {}
func (b *brittle) Send(m proto.Message) error {
	if b.sent++; b.sent > 1 {
		b.s.got <- nil
		return errors.New("broken")
	}
	b.s.got <- m
	return nil
}

func TestCollectors(t *testing.T) {
	l, err := network.NewLoop("l", 0)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { l.Run(); close(done) }()
	defer func() { l.Exit(); <-done; l.Close() }()
	s := service{make(chan proto.Message, 10)}
	compile := func(config string) Logger {
		t.Helper()
		m := &accesslogv3.AccessLog{}
		if err := protojson.Unmarshal([]byte(config), m); err != nil {
			t.Fatal(err)
		}
		list, err := Compile("access_log", []*accesslogv3.AccessLog{m}, Options{Clients: s, Loops: []*network.Loop{l}, Stats: stats.NewStore(l)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { Close(list) })
		return list[0]
	}
	receive := func() proto.Message {
		t.Helper()
		select {
		case m := <-s.got:
			return m
		case <-time.After(10 * time.Second):
			t.Fatal("nothing came")
			return nil
		}
	}
	h := &http.HeaderMap{}
	h.AddName(":method", "GET")
	h.AddName("x-h", "v")
	c := &formatter.Context{Info: &streaminfo.Info{Protocol: "HTTP/1.1", ResponseCode: 200, Flags: streaminfo.NoRouteFound, Start: time.Unix(1, 0)}, RequestHeaders: h}

	const service = `"grpc_service": {"envoy_grpc": {"cluster_name": "c"}}`
	als := compile(`{"name": "a", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.access_loggers.grpc.v3.HttpGrpcAccessLogConfig",
		"common_config": {"log_name": "ln", "transport_api_version": "V3", "buffer_size_bytes": 0, ` + service + `}, "additional_request_headers_to_log": ["X-H"]}}`)
	log := func(to Logger) { l.Post(func() { to.Log(0, c) }) }
	log(als)
	first := receive().(*alsv3.StreamAccessLogsMessage)
	e := first.GetHttpLogs().GetLogEntry()[0]
	if first.Identifier.GetLogName() != "ln" || e.Request.RequestHeaders["x-h"] != "v" || !e.CommonProperties.ResponseFlags.GetNoRouteFound() || e.Response.ResponseCode.GetValue() != 200 {
		t.Errorf("%v", first)
	}
	log(als) // the stream breaks: this one is lost
	receive()
	log(als)
	if again := receive().(*alsv3.StreamAccessLogsMessage); again.Identifier == nil {
		t.Error("a new stream does not say whose it is")
	}

	log(compile(`{"name": "o", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.access_loggers.open_telemetry.v3.OpenTelemetryAccessLogConfig",
		"log_name": "ln", "buffer_size_bytes": 0, ` + service + `, "body": {"string_value": "%REQ(x-h)% %RESPONSE_CODE%"}}}`))
	r := receive().(*logspb.ExportLogsServiceRequest).ResourceLogs[0]
	if body := r.ScopeLogs[0].LogRecords[0].Body.GetStringValue(); body != "v 200" || r.Resource.Attributes[0].Value.GetStringValue() != "ln" {
		t.Errorf("%v", r)
	}
}
