//go:build oracle

package oracle

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	procv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
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
	procv3.UnimplementedExternalProcessorServer
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
	procv3.RegisterExternalProcessorServer(s, services{})
	go s.Serve(l)
	t.Cleanup(s.Stop)
	return l.Addr().(*net.TCPAddr).Port
}

// Check answers with the CheckResponse that the request's header x-authz has
// as JSON, or the call's metadata x-authz when there is no request. "echo" denies with what was asked, and the call's metadata, in the
// body and as metadata; "fail" fails; "slow" takes a second.
func (services) Check(ctx context.Context, q *authv3.CheckRequest) (*authv3.CheckResponse, error) {
	do := q.GetAttributes().GetRequest().GetHttp().GetHeaders()["x-authz"]
	if md, _ := metadata.FromIncomingContext(ctx); q.GetAttributes().GetRequest() == nil && len(md.Get("x-authz")) > 0 {
		do = md.Get("x-authz")[0]
	}
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
		j, _ := json.Marshal(map[string]any{"status": map[string]any{"code": 7}, "deniedResponse": map[string]any{"body": body}, "dynamicMetadata": map[string]any{"asked": body}})
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

// Process answers each message with the ProcessingResponse that the request's
// header x-proc has for its kind: a JSON object by kind ("requestHeaders",
// "responseBody", …). Other values are "fail", "close", "slow", and "echo",
// an immediate response with the kinds and sizes of all messages so far. A
// kind that is not there is answered without changes; "shout" in the place of
// a body's answer is the body in capitals. "wait" is answered, without changes,
// when something else is.
func (services) Process(s procv3.ExternalProcessor_ProcessServer) error {
	do, seen := map[string]json.RawMessage{}, ""
	var waiting []string
	for {
		q, err := s.Recv()
		if err != nil {
			return nil
		}
		name, body, end := describe(q)
		seen += fmt.Sprintf("%s %q %v;", name, body, end)
		for k, v := range q.GetAttributes() {
			j, _ := json.Marshal(v.AsMap())
			seen += k + string(j) + ";"
		}
		if m := q.GetMetadataContext(); len(m.GetFilterMetadata()) > 0 {
			seen += asked(m) + ";"
		}
		if q.GetProtocolConfig().GetSendBodyWithoutWaitingForHeaderResponse() {
			seen += "early;"
		}
		if md, _ := metadata.FromIncomingContext(s.Context()); len(md.Get("x-meta")) > 0 {
			seen += strings.Join(md.Get("x-meta"), ",") + ";"
		}
		for _, h := range q.GetRequestHeaders().GetHeaders().GetHeaders() {
			if h.GetKey() == "x-proc" {
				json.Unmarshal(h.GetRawValue(), &do)
			}
		}
		answer := string(do[name])
		switch answer {
		case "":
			answer = `{"` + name + `":{}}`
		case `"wait"`:
			waiting = append(waiting, name)
			continue
		case `"fail"`:
			return status.Error(codes.Internal, "failed")
		case `"close"`:
			return nil
		case `"slow"`:
			time.Sleep(time.Second)
			return nil
		case `"echo"`:
			j, _ := json.Marshal([]byte(seen))
			answer = `{"immediateResponse":{"status":{"code":418},"body":` + string(j) + `,"details":"an echo"}}`
		case `"shout"`:
			j, _ := json.Marshal(bytes.ToUpper(body))
			answer = `{"` + name + `":{"response":{"bodyMutation":{"body":` + string(j) + `}}}}`
		case `"stream"`:
			j, _ := json.Marshal(bytes.ToUpper(body))
			answer = fmt.Sprintf(`{"%s":{"response":{"bodyMutation":{"streamedResponse":{"body":%s,"endOfStream":%v}}}}}`, name, j, end)
		}
		for _, name := range waiting {
			empty := &procv3.ProcessingResponse{}
			protojson.Unmarshal([]byte(`{"`+name+`":{}}`), empty)
			s.Send(empty)
		}
		waiting = nil
		out := &procv3.ProcessingResponse{}
		if err := protojson.Unmarshal([]byte(answer), out); err != nil {
			return status.Error(codes.InvalidArgument, err.Error())
		}
		if err := s.Send(out); err != nil {
			return nil
		}
	}
}

// describe is a message's kind, as JSON names it, and its body.
func describe(q *procv3.ProcessingRequest) (kind string, body []byte, end bool) {
	switch x := q.Request.(type) {
	case *procv3.ProcessingRequest_RequestHeaders:
		return "requestHeaders", nil, x.RequestHeaders.EndOfStream
	case *procv3.ProcessingRequest_ResponseHeaders:
		return "responseHeaders", nil, x.ResponseHeaders.EndOfStream
	case *procv3.ProcessingRequest_RequestBody:
		return "requestBody", x.RequestBody.Body, x.RequestBody.EndOfStream
	case *procv3.ProcessingRequest_ResponseBody:
		return "responseBody", x.ResponseBody.Body, x.ResponseBody.EndOfStream
	case *procv3.ProcessingRequest_RequestTrailers:
		return "requestTrailers", nil, true
	}
	return "responseTrailers", nil, true
}

// asked is a message as JSON that is always the same, without its time.
func asked(m proto.Message) string {
	if c, ok := m.(*authv3.CheckRequest); ok {
		c = proto.Clone(c).(*authv3.CheckRequest)
		if r := c.GetAttributes().GetRequest(); r != nil {
			r.Time = nil
			r.GetHttp().Id = ""
			delete(r.GetHttp().GetHeaders(), "x-request-id")
		}
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
