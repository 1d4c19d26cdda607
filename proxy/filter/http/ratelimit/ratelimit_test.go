package ratelimit_test

import (
	"context"
	"strings"
	"testing"
	"time"

	rlsv3 "github.com/envoyproxy/go-control-plane/envoy/service/ratelimit/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/weirproxy/weir/internal/filterrig"
	"github.com/weirproxy/weir/internal/httprig"
	"github.com/weirproxy/weir/proxy/filter/http/ratelimit"
)

// service limits by the value of the first entry: "over", "fail", "wait".
type service struct {
	rlsv3.UnimplementedRateLimitServiceServer
	asked   chan *rlsv3.RateLimitRequest
	release chan struct{}
}

func (s *service) ShouldRateLimit(_ context.Context, q *rlsv3.RateLimitRequest) (*rlsv3.RateLimitResponse, error) {
	s.asked <- q
	switch q.Descriptors[0].Entries[0].Value {
	case "over":
		return &rlsv3.RateLimitResponse{OverallCode: rlsv3.RateLimitResponse_OVER_LIMIT}, nil
	case "fail":
		return nil, status.Error(codes.Internal, "no")
	case "wait":
		<-s.release
	}
	return &rlsv3.RateLimitResponse{OverallCode: rlsv3.RateLimitResponse_OK}, nil
}

const route = `{match: {prefix: /}, route: {cluster: u, rate_limits: [{actions: [{request_headers: {header_name: x-do, descriptor_key: do}}]}]}}`

func start(t *testing.T, routes, config string) (*filterrig.Rig, *service) {
	t.Helper()
	s := &service{asked: make(chan *rlsv3.RateLimitRequest, 100), release: make(chan struct{})}
	t.Cleanup(func() { close(s.release) })
	r := filterrig.Start(t, httprig.Options{}, routes, filterrig.Filter("rl", ratelimit.TypeURL,
		`domain: d, rate_limit_service: {transport_api_version: V3, grpc_service: {envoy_grpc: {cluster_name: rls}}}, timeout: 5s, `+config))
	r.GRPC("rls", func(g *grpc.Server) { rlsv3.RegisterRateLimitServiceServer(g, s) })
	return r, s
}

func TestLimit(t *testing.T) {
	r, s := start(t, route, "enable_x_ratelimit_headers: DRAFT_VERSION_03")
	for do, want := range map[string]int{"": 200, "under": 200, "over": 429, "fail": 200} {
		a := r.Get("/", "x-do", do)
		if a.Status != want {
			t.Errorf("%q: %+v", do, a)
		}
		if limited := a.Header.Get("x-envoy-ratelimited") == "true"; limited != (do == "over") {
			t.Errorf("%q: x-envoy-ratelimited %v", do, limited)
		}
	}
	if q := <-s.asked; q.Domain != "d" || q.Descriptors[0].Entries[0].Key != "do" {
		t.Errorf("asked %v", q)
	}
	for name, want := range map[string]string{"over_limit": "1", "error": "1", "failure_mode_allowed": "1"} {
		r.WantStat("cluster.u.ratelimit."+name, want)
	}
}

func TestFailureDenied(t *testing.T) {
	r, _ := start(t, route, "failure_mode_deny: true, status_on_error: {code: 503}, timeout: 0.02s")
	for _, do := range []string{"fail", "wait"} {
		if a := r.Get("/", "x-do", do); a.Status != 503 {
			t.Errorf("%s: %+v", do, a)
		}
	}
}

// TestCountedAtTheEnd: a rate limit with apply_on_stream_done does not hold
// the request up; the service is told of it afterwards.
func TestCountedAtTheEnd(t *testing.T) {
	r, s := start(t, strings.Replace(route, "{actions", "{apply_on_stream_done: true, actions", 1), "failure_mode_deny: true")
	if a := r.Get("/", "x-do", "over"); a.Status != 200 {
		t.Errorf("%+v", a)
	}
	select {
	case q := <-s.asked:
		if q.Descriptors[0].Entries[0].Value != "over" {
			t.Errorf("asked %v", q)
		}
	case <-time.After(5 * time.Second):
		t.Error("the service was not told")
	}
}

func TestRefused(t *testing.T) {
	for want, config := range map[string]string{
		"google_grpc":     `domain: d, rate_limit_service: {transport_api_version: V3, grpc_service: {google_grpc: {target_uri: x, stat_prefix: s}}}`,
		"V2 is no longer": `domain: d, rate_limit_service: {transport_api_version: V2, grpc_service: {envoy_grpc: {cluster_name: x}}}`,
	} {
		filterrig.WantRefused(t, want, "", filterrig.Filter("rl", ratelimit.TypeURL, config))
	}
	filterrig.WantRefused(t, "override_option", filterrig.Route("/", "rl", ratelimit.RouteTypeURL, "override_option: INCLUDE_POLICY"),
		filterrig.Filter("rl", ratelimit.TypeURL, `domain: d, rate_limit_service: {transport_api_version: V3, grpc_service: {envoy_grpc: {cluster_name: x}}}`))
}
