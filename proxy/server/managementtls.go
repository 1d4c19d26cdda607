package server

import (
	cryptotls "crypto/tls"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/tls"
)

// managementTLS makes TLS configurations for connections to management
// servers, which speak HTTP/2.
func (s *server) managementTLS(p field.Path, ts *corev3.TransportSocket) (func() *cryptotls.Config, error) {
	var x *tls.Client
	compile := func() (err error) {
		x, err = tls.NewClient(p, ts.GetTypedConfig(), tls.Options{Stats: s.stats, Prefix: "xds.", Secrets: s.secrets, Scope: forever{}, Certs: &s.certs})
		return err
	}
	config := func() *cryptotls.Config { return x.Config("h2") }
	if s.xds == nil { // being made: secrets can't be subscribed to yet
		s.afterXDS = append(s.afterXDS, compile)
		return config, nil
	}
	return config, compile()
}

// forever is the scope of what lives as long as the process, and is not
// waited for.
type forever struct{}

func (forever) OnClose(func())               {}
func (forever) WaitFor(string) (done func()) { return func() {} }

// secured makes a connection to a collector secure, by its cluster's context.
func secured(transport any, protocol string) *cryptotls.Config {
	if t, ok := transport.(upstreamTLS); ok {
		return t.Client.Config(protocol)
	}
	return nil
}
