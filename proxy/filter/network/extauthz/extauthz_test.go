package extauthz_test

import (
	"context"
	"io"
	"net"
	"testing"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	grpcstatus "google.golang.org/grpc/status"

	"github.com/weirproxy/weir/internal/httprig"
	"github.com/weirproxy/weir/internal/listenerrig"
	"github.com/weirproxy/weir/proxy/filter/network/extauthz"
)

// server answers as decide says.
type server struct {
	authv3.UnimplementedAuthorizationServer
	decide func(*authv3.CheckRequest) (*authv3.CheckResponse, error)
}

func (s server) Check(_ context.Context, q *authv3.CheckRequest) (*authv3.CheckResponse, error) {
	return s.decide(q)
}

// newRig is an echo behind the filter, whose server decides.
func newRig(t *testing.T, config string, decide func(*authv3.CheckRequest) (*authv3.CheckResponse, error)) (*httprig.Rig, string) {
	t.Helper()
	r := httprig.New(t, httprig.Options{})
	r.GRPC("c", func(s *grpc.Server) { authv3.RegisterAuthorizationServer(s, server{decide: decide}) })
	return r, r.MustAdd(`
name: a
stat_prefix: a
address: {socket_address: {address: 127.0.0.1, port_value: 0}}
filter_chains: [{filters: [{name: x, typed_config: {"@type": ` + extauthz.TypeURL + `, stat_prefix: x, grpc_service: {envoy_grpc: {cluster_name: c}, timeout: 5s}` + config + `}}, ` + listenerrig.Echo("echo") + `]}]
`)
}

func TestDecisions(t *testing.T) {
	allow := func(*authv3.CheckRequest) (*authv3.CheckResponse, error) { return &authv3.CheckResponse{}, nil }
	deny := func(*authv3.CheckRequest) (*authv3.CheckResponse, error) {
		return &authv3.CheckResponse{Status: &status.Status{Code: 7}}, nil
	}
	fail := func(*authv3.CheckRequest) (*authv3.CheckResponse, error) {
		return nil, grpcstatus.Error(codes.Internal, "broken")
	}
	for _, c := range []struct {
		name, config string
		decide       func(*authv3.CheckRequest) (*authv3.CheckResponse, error)
		passes       bool
		stat         string
	}{
		{"allowed", "", allow, true, "ok"},
		{"denied", "", deny, false, "denied"},
		{"failed", "", fail, false, "error"},
		{"failed and allowed", ", failure_mode_allow: true", fail, true, "failure_mode_allowed"},
		{"denied in shadow mode", ", shadow_mode: true", deny, true, "denied"},
		{"switched off", ", filter_enabled_metadata: {filter: a, path: [{key: b}], value: {present_match: true}}", deny, true, "disabled"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, addr := newRig(t, c.config, c.decide)
			conn := listenerrig.Dial(t, addr)
			io.WriteString(conn, "hello")
			n, err := conn.Read(make([]byte, 1))
			if passes := n > 0; passes != c.passes {
				t.Fatalf("it passes: %v, %v", passes, err)
			}
			conn.Close()
			r.WantStat("ext_authz.x."+c.stat, "1")
			r.WantStat("ext_authz.x.active", "0")
		})
	}
}

// TestClientGoesMeanwhile: the question is given up.
func TestClientGoesMeanwhile(t *testing.T) {
	asked, release := make(chan *authv3.CheckRequest, 1), make(chan bool)
	r, addr := newRig(t, "", func(q *authv3.CheckRequest) (*authv3.CheckResponse, error) {
		asked <- q
		<-release
		return &authv3.CheckResponse{}, nil
	})
	defer close(release)
	c := listenerrig.Dial(t, addr)
	io.WriteString(c, "hello")
	select {
	case q := <-asked:
		if got := q.GetAttributes().GetSource().GetAddress().GetSocketAddress().GetPortValue(); int(got) != c.LocalAddr().(*net.TCPAddr).Port {
			t.Errorf("the server is told of port %d, not the client's", got)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("the server is not asked")
	}
	r.WantStat("ext_authz.x.active", "1")
	c.SetLinger(0)
	c.Close()
	r.WantStat("ext_authz.x.active", "0")
	r.WantStat("listener.a.downstream_cx_active", "0")
}
