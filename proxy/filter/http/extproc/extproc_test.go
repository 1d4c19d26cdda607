package extproc_test

import (
	"bytes"
	"runtime"
	"strings"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	procv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/weirproxy/weir/internal/filterrig"
	"github.com/weirproxy/weir/internal/httprig"
	"github.com/weirproxy/weir/proxy/filter/http/extproc"
)

// processor writes bodies in capitals and adds a header to each head. The
// request header x-proc can ask for "fail", "hang" or "teapot".
type processor struct {
	procv3.UnimplementedExternalProcessorServer
	duplex bool
	late   bool          // headers are answered when the body has come
	gate   chan struct{} // if set, closed when response bodies are to be answered
}

func (p processor) Process(s procv3.ExternalProcessor_ProcessServer) error {
	var held *procv3.ProcessingResponse
	for {
		q, err := s.Recv()
		if err != nil {
			return nil
		}
		out := &procv3.ProcessingResponse{}
		switch x := q.Request.(type) {
		case *procv3.ProcessingRequest_RequestHeaders:
			switch header(x.RequestHeaders, "x-proc") {
			case "fail":
				return status.Error(codes.Internal, "no")
			case "hang":
				<-s.Context().Done()
				return nil
			case "teapot":
				out.Response = &procv3.ProcessingResponse_ImmediateResponse{ImmediateResponse: &procv3.ImmediateResponse{Status: nil, Body: []byte("tea"), Details: "d"}}
				s.Send(out)
				return nil
			}
			out.Response = &procv3.ProcessingResponse_RequestHeaders{RequestHeaders: &procv3.HeadersResponse{Response: mark()}}
			if p.late {
				held = out
				continue
			}
		case *procv3.ProcessingRequest_ResponseHeaders:
			out.Response = &procv3.ProcessingResponse_ResponseHeaders{ResponseHeaders: &procv3.HeadersResponse{Response: mark()}}
		case *procv3.ProcessingRequest_RequestBody:
			if held != nil {
				s.Send(held)
				held = nil
			}
			out.Response = &procv3.ProcessingResponse_RequestBody{RequestBody: p.shout(x.RequestBody)}
		case *procv3.ProcessingRequest_ResponseBody:
			if p.gate != nil {
				<-p.gate
			}
			out.Response = &procv3.ProcessingResponse_ResponseBody{ResponseBody: p.shout(x.ResponseBody)}
		}
		if s.Send(out) != nil {
			return nil
		}
	}
}

func header(h *procv3.HttpHeaders, name string) string {
	for _, x := range h.GetHeaders().GetHeaders() {
		if x.Key == name {
			return string(x.RawValue)
		}
	}
	return ""
}

func mark() *procv3.CommonResponse {
	return &procv3.CommonResponse{HeaderMutation: &procv3.HeaderMutation{SetHeaders: []*corev3.HeaderValueOption{{Header: &corev3.HeaderValue{Key: "x-marked", RawValue: []byte("yes")}}}}}
}

func (p processor) shout(b *procv3.HttpBody) *procv3.BodyResponse {
	m := &procv3.BodyMutation{Mutation: &procv3.BodyMutation_Body{Body: bytes.ToUpper(b.Body)}}
	if p.duplex {
		m.Mutation = &procv3.BodyMutation_StreamedResponse{StreamedResponse: &procv3.StreamedBodyResponse{Body: bytes.ToUpper(b.Body), EndOfStream: b.EndOfStream}}
	}
	return &procv3.BodyResponse{Response: &procv3.CommonResponse{BodyMutation: m}}
}

func start(t *testing.T, p processor, routes, config string) *filterrig.Rig {
	t.Helper()
	r := filterrig.Start(t, httprig.Options{}, routes, filterrig.Filter("proc", extproc.TypeURL, "grpc_service: {envoy_grpc: {cluster_name: proc}}, "+config))
	r.GRPC("proc", func(g *grpc.Server) { procv3.RegisterExternalProcessorServer(g, p) })
	return r
}

// TestBodies: each mode of sending bodies, short and long, both ways.
func TestBodies(t *testing.T) {
	for mode, more := range map[string]string{
		"NONE": "", "BUFFERED": "", "BUFFERED_PARTIAL": "", "STREAMED": "",
		"FULL_DUPLEX_STREAMED": ", request_trailer_mode: SEND, response_trailer_mode: SEND",
	} {
		t.Run(mode, func(t *testing.T) {
			r := start(t, processor{duplex: mode == "FULL_DUPLEX_STREAMED"}, "", "message_timeout: 10s, processing_mode: {request_body_mode: "+mode+", response_body_mode: "+mode+more+"}")
			for _, n := range []int{5, 300_000, 3 << 20} {
				if mode == "BUFFERED" && n > 1<<20 {
					continue // more than may be buffered
				}
				sent := strings.Repeat("b", n)
				want := sent
				if mode != "NONE" {
					want = strings.ToUpper(sent)
				}
				if mode == "BUFFERED_PARTIAL" && n > 1<<20 {
					want = "" // a part of it in capitals, either way
				}
				a := r.Do("POST", "/", sent)
				got := a.Body[strings.LastIndex(a.Body, "\n")+1:]
				if want == "" && len(got) == n && strings.EqualFold(got, sent) {
					want = got
				}
				if a.Status != 200 || got != want || a.Header.Get("x-marked") != "yes" || !strings.Contains(strings.ToLower(a.Body), "x-marked: yes\n") {
					t.Errorf("%d bytes: %d, %d bytes back, the same: %v, %v", n, a.Status, len(got), got == want, a.Header)
				}
			}
			r.WantStat("http.in.ext_proc.spurious_msgs_received", "0")
		})
	}
}

// TestSlowProcessor: the upstream waits while the processor does not answer, or
// takes nothing more.
func TestSlowProcessor(t *testing.T) {
	for mode, more := range map[string]string{"STREAMED": "", "FULL_DUPLEX_STREAMED": ", response_trailer_mode: SEND"} {
		t.Run(mode, func(t *testing.T) {
			gate := make(chan struct{})
			r := start(t, processor{duplex: more != "", gate: gate}, "", "message_timeout: 60s, processing_mode: {response_body_mode: "+mode+more+"}")
			answers := make(chan filterrig.Answer)
			sent := strings.Repeat("b", 8<<20)
			go func() { answers <- r.Do("POST", "/", sent) }()
			// The window of the processor's connection may open once more.
			for paused := "0"; paused == "0" || paused == ""; paused = r.Stat("cluster.u.upstream_flow_control_paused_reading_total") {
				runtime.Gosched()
			}
			close(gate)
			if a := <-answers; a.Status != 200 || !strings.HasSuffix(a.Body, strings.ToUpper(sent)) {
				t.Errorf("%d, %d bytes", a.Status, len(a.Body))
			}
			r.WantStat("cluster.u.upstream_rq_active", "0")
		})
	}
}

// TestBodyBeforeHeaders: a processor that looks at the body before it says
// what becomes of the headers.
func TestBodyBeforeHeaders(t *testing.T) {
	for mode, more := range map[string]string{"STREAMED": "}, send_body_without_waiting_for_header_response: true", "FULL_DUPLEX_STREAMED": ", request_trailer_mode: SEND}"} {
		t.Run(mode, func(t *testing.T) {
			r := start(t, processor{duplex: mode != "STREAMED", late: true}, "", "message_timeout: 10s, processing_mode: {response_header_mode: SKIP, request_body_mode: "+mode+more)
			if a := r.Do("POST", "/", "hello"); a.Status != 200 || !strings.HasSuffix(a.Body, "HELLO") || !strings.Contains(strings.ToLower(a.Body), "x-marked: yes\n") {
				t.Errorf("%+v", a)
			}
		})
	}
}

// TestRouteOverrides: a route changes a part, without a service of its own.
func TestRouteOverrides(t *testing.T) {
	r := start(t, processor{}, filterrig.Route("/r", "proc", extproc.RouteTypeURL, "overrides: {failure_mode_allow: true, grpc_initial_metadata: [{key: x-a, value: b}]}"), "failure_mode_allow: false")
	if a := r.Get("/r", "x-proc", "fail"); a.Status != 200 {
		t.Errorf("%+v", a)
	}
}

func TestFailures(t *testing.T) {
	for _, allow := range []bool{false, true} {
		config := "message_timeout: 0.05s"
		if allow {
			config += ", failure_mode_allow: true"
		}
		r := start(t, processor{}, "", config)
		for do, want := range map[string]int{"": 200, "fail": 500, "hang": 504, "teapot": 200} {
			a := r.Get("/", "x-proc", do)
			if allow {
				want = 200
			}
			if a.Status != want || (do == "teapot") != (a.Body == "tea") {
				t.Errorf("%q, allowed %v: %+v", do, allow, a)
			}
		}
		r.WantStat("http.in.ext_proc.message_timeouts", "1")
		r.WantStat("http.in.ext_proc.streams_failed", "1")
		immediate := "3" // failures are answered by such, too
		if allow {
			immediate = "1"
		}
		r.WantStat("http.in.ext_proc.immediate_responses_sent", immediate)
	}
}

func TestRoutes(t *testing.T) {
	route := func(prefix, config string) string {
		return filterrig.Route(prefix, "proc", extproc.RouteTypeURL, config)
	}
	r := start(t, processor{}, route("/off", "disabled: true")+","+route("/skip", "overrides: {processing_mode: {request_header_mode: SKIP, response_header_mode: SEND}}")+", {match: {prefix: /}, route: {cluster: u}}", "message_timeout: 10s")
	for path, want := range map[string][2]bool{"/off": {false, false}, "/skip": {false, true}, "/": {true, true}} {
		a := r.Get(path)
		if got := [2]bool{strings.Contains(a.Body, "x-marked"), a.Header.Get("x-marked") != ""}; got != want {
			t.Errorf("%s: request and response marked %v, want %v", path, got, want)
		}
	}
}

func TestRefused(t *testing.T) {
	for want, config := range map[string]string{
		"request_attributes":         `request_attributes: ["request.("]`,
		"needs the trailers":         "processing_mode: {request_body_mode: FULL_DUPLEX_STREAMED}",
		"weir does not support GRPC": "processing_mode: {request_body_mode: GRPC, request_trailer_mode: SEND}",
	} {
		filterrig.WantRefused(t, want, "", filterrig.Filter("proc", extproc.TypeURL, "grpc_service: {envoy_grpc: {cluster_name: u}}, "+config))
	}
}
