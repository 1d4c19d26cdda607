//go:build oracle

package oracle

import (
	"context"
	"encoding/json"
	"net"
	"strings"
	"testing"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	rlsv3 "github.com/envoyproxy/go-control-plane/envoy/service/ratelimit/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// services are the gRPC services that proxies ask: the upstream "grpc". What
// they answer is in what they are asked, see each.
type services struct {
	authv3.UnimplementedAuthorizationServer
	rlsv3.UnimplementedRateLimitServiceServer
}

func startServices(t *testing.T) (port int) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer()
	authv3.RegisterAuthorizationServer(s, services{})
	rlsv3.RegisterRateLimitServiceServer(s, services{})
	go s.Serve(l)
	t.Cleanup(s.Stop)
	return l.Addr().(*net.TCPAddr).Port
}

// Check answers with the CheckResponse that the request's header x-authz has
// as JSON. "echo" denies with what was asked, and the call's metadata, in the
// body; "fail" fails; "slow" takes a second.
func (services) Check(ctx context.Context, q *authv3.CheckRequest) (*authv3.CheckResponse, error) {
	do := q.GetAttributes().GetRequest().GetHttp().GetHeaders()["x-authz"]
	out := &authv3.CheckResponse{}
	switch do {
	case "", "ok":
		return out, nil
	case "fail":
		return nil, status.Error(codes.Internal, "failed")
	case "slow":
		time.Sleep(time.Second)
		return out, nil
	case "echo":
		body := asked(q) + " " + called(ctx)
		j, _ := json.Marshal(map[string]any{"status": map[string]any{"code": 7}, "deniedResponse": map[string]any{"body": body}})
		do = string(j)
	}
	if err := protojson.Unmarshal([]byte(do), out); err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	return out, nil
}

// ShouldRateLimit answers by the first descriptor's value whose key is "do":
// a RateLimitResponse as JSON, "echo" (over the limit, with what was asked as
// the body), "fail" or "slow".
func (services) ShouldRateLimit(ctx context.Context, q *rlsv3.RateLimitRequest) (*rlsv3.RateLimitResponse, error) {
	out := &rlsv3.RateLimitResponse{OverallCode: rlsv3.RateLimitResponse_OK}
	for _, d := range q.GetDescriptors() {
		for _, e := range d.GetEntries() {
			if e.GetKey() != "do" {
				continue
			}
			switch e.GetValue() {
			case "fail":
				return nil, status.Error(codes.Internal, "failed")
			case "slow":
				time.Sleep(time.Second)
				return out, nil
			case "echo":
				out.OverallCode, out.RawBody = rlsv3.RateLimitResponse_OVER_LIMIT, []byte(asked(q)+" "+called(ctx))
				return out, nil
			}
			if err := protojson.Unmarshal([]byte(e.GetValue()), out); err != nil {
				return nil, status.Error(codes.InvalidArgument, err.Error())
			}
			return out, nil
		}
	}
	return out, nil
}

// asked is a message as JSON that is always the same, without its time.
func asked(m proto.Message) string {
	if c, ok := m.(*authv3.CheckRequest); ok {
		c = proto.Clone(c).(*authv3.CheckRequest)
		c.GetAttributes().GetRequest().Time = nil
		c.GetAttributes().GetRequest().GetHttp().Id = ""
		delete(c.GetAttributes().GetRequest().GetHttp().GetHeaders(), "x-request-id")
		m = c
	}
	j, _ := protojson.Marshal(m)
	var x any
	json.Unmarshal(j, &x)
	out, _ := json.Marshal(x)
	return clientPort.ReplaceAllString(string(out), `"portValue":"<port>"`)
}

// called is the call's metadata.
func called(ctx context.Context) string {
	md, _ := metadata.FromIncomingContext(ctx)
	kept := map[string]string{}
	for k, v := range md {
		if k != "user-agent" && k != "x-request-id" {
			kept[k] = strings.Join(v, ",")
		}
	}
	out, _ := json.Marshal(kept)
	return string(out)
}
