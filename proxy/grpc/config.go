package grpc

import (
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"github.com/weirproxy/weir/internal/field"
)

// Compile compiles a GrpcService. Services of google_grpc are refused: they
// have no cluster.
func Compile(p field.Path, c *corev3.GrpcService) (*Service, error) {
	if err := field.Only(p, c, "envoy_grpc", "timeout", "initial_metadata"); err != nil {
		return nil, err
	}
	e := c.GetEnvoyGrpc()
	if e == nil {
		return nil, p.Dot("envoy_grpc").Errorf("not set")
	}
	ep := p.Dot("envoy_grpc")
	if err := field.Only(ep, e, "cluster_name", "authority", "max_receive_message_length", "skip_envoy_headers"); err != nil {
		return nil, err
	}
	s := &Service{Cluster: e.GetClusterName(), Timeout: c.GetTimeout().AsDuration(), authority: e.GetAuthority(), plain: e.GetSkipEnvoyHeaders(), maxMessage: defaultMaxMessage}
	if s.authority == "" {
		s.authority = s.Cluster
	}
	if m := e.GetMaxReceiveMessageLength(); m != nil {
		s.maxMessage = int(m.GetValue())
	}
	for i, h := range c.GetInitialMetadata() {
		hp := p.Dot("initial_metadata").Index(i)
		if err := field.Only(hp, h, "key", "value"); err != nil {
			return nil, err
		}
		if strings.Contains(h.GetValue(), "%") {
			return nil, hp.Dot("value").Errorf("weir does not support substitution commands here")
		}
		s.metadata = append(s.metadata, header{strings.ToLower(h.GetKey()), h.GetValue()})
	}
	return s, nil
}
