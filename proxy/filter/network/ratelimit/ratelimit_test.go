package ratelimit_test

import (
	"context"
	"io"
	"testing"

	rlsv3 "github.com/envoyproxy/go-control-plane/envoy/service/ratelimit/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	grpcstatus "google.golang.org/grpc/status"

	"github.com/weirproxy/weir/internal/httprig"
	"github.com/weirproxy/weir/internal/listenerrig"
	"github.com/weirproxy/weir/proxy/filter/network/ratelimit"
)

// server answers by the first descriptor's first value, and notes the second.
type server struct {
	rlsv3.UnimplementedRateLimitServiceServer
	seen chan string
}

func (s server) ShouldRateLimit(_ context.Context, q *rlsv3.RateLimitRequest) (*rlsv3.RateLimitResponse, error) {
	e := q.GetDescriptors()[0].GetEntries()
	s.seen <- q.GetDomain() + " " + e[1].GetValue()
	switch e[0].GetValue() {
	case "over":
		return &rlsv3.RateLimitResponse{OverallCode: rlsv3.RateLimitResponse_OVER_LIMIT}, nil
	case "fail":
		return nil, grpcstatus.Error(codes.Internal, "broken")
	}
	return &rlsv3.RateLimitResponse{OverallCode: rlsv3.RateLimitResponse_OK}, nil
}

// newRig is an echo behind the filter, whose service answers as value says.
func newRig(t *testing.T, value, config string) (*httprig.Rig, string, chan string) {
	t.Helper()
	seen := make(chan string, 10)
	r := httprig.New(t, httprig.Options{})
	r.GRPC("c", func(s *grpc.Server) { rlsv3.RegisterRateLimitServiceServer(s, server{seen: seen}) })
	return r, r.MustAdd(`
name: a
stat_prefix: a
address: {socket_address: {address: 127.0.0.1, port_value: 0}}
filter_chains: [{filters: [{name: x, typed_config: {"@type": ` + ratelimit.TypeURL + `, stat_prefix: x, domain: d, timeout: 5s, descriptors: [{entries: [{key: do, value: ` + value + `}, {key: ip, value: "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%"}]}], rate_limit_service: {transport_api_version: V3, grpc_service: {envoy_grpc: {cluster_name: c}}}` + config + `}}, ` + listenerrig.Echo("echo") + `]}]
`), seen
}

func TestDecisions(t *testing.T) {
	for _, c := range []struct {
		name, value, config string
		passes              bool
		stat                string
	}{
		{"allowed", "ok", "", true, "ok"},
		{"over the limit", "over", "", false, "over_limit"},
		{"failed", "fail", "", true, "failure_mode_allowed"},
		{"failed and denied", "fail", ", failure_mode_deny: true", false, "cx_closed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, addr, seen := newRig(t, c.value, c.config)
			conn := listenerrig.Dial(t, addr)
			// The service is asked before there is a byte.
			if got := <-seen; got != "d 127.0.0.1" {
				t.Errorf("the service is told %q", got)
			}
			io.WriteString(conn, "hello")
			n, err := conn.Read(make([]byte, 1))
			if passes := n > 0; passes != c.passes {
				t.Fatalf("it passes: %v, %v", passes, err)
			}
			conn.Close()
			r.WantStat("ratelimit.x."+c.stat, "1")
			r.WantStat("ratelimit.x.active", "0")
		})
	}
}
