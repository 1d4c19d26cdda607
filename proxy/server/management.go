package server

import (
	"context"
	"net"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/grpc/credentials"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/tls"
)

// managementTLS secures the connections to a management server by its
// cluster's TLS context, as that is at each handshake.
type managementTLS struct {
	credentials.TransportCredentials // for what does not depend on the context
	context                          *tls.Client
}

// ClientHandshake implements credentials.TransportCredentials.
func (m *managementTLS) ClientHandshake(ctx context.Context, authority string, c net.Conn) (net.Conn, credentials.AuthInfo, error) {
	config, err := m.context.Config()
	if err != nil {
		return nil, nil, err
	}
	return credentials.NewTLS(config).ClientHandshake(ctx, authority, c)
}

// Clone implements credentials.TransportCredentials.
func (m *managementTLS) Clone() credentials.TransportCredentials { return m }

// processScope is for what lasts as long as the process.
type processScope struct{}

// WaitFor implements tls.Scope: gRPC tries again until the secret is there.
func (processScope) WaitFor(string) func() { return func() {} }

// OnClose implements tls.Scope.
func (processScope) OnClose(func()) {}

// managementCredentials is xds.Options.Credentials. While the xDS client is
// being made, secrets can't be subscribed to: the context is compiled after.
func (s *server) managementCredentials(p field.Path, cluster string, ts *corev3.TransportSocket) (credentials.TransportCredentials, error) {
	m := &managementTLS{TransportCredentials: credentials.NewTLS(nil)}
	compile := func() (err error) {
		m.context, err = tls.NewClient(p.Dot("typed_config"), ts.GetTypedConfig(), tls.Options{Stats: s.stats, Prefix: "cluster." + cluster + ".", Secrets: s.secrets, Scope: processScope{}})
		return err
	}
	if s.xds == nil {
		s.afterXDS = append(s.afterXDS, compile)
		return m, nil
	}
	return m, compile()
}
