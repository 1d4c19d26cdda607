package grpc

import (
	"net/netip"
	"strings"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/formatter"
)

// Compile compiles a GrpcService. timeout is for calls when it gives none;
// local is the machine's address, for X-Forwarded-For. Services of google_grpc
// are refused: they have no cluster.
func Compile(p field.Path, c *corev3.GrpcService, timeout time.Duration, local netip.Addr) (*Service, error) {
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
	s := &Service{Cluster: e.GetClusterName(), Timeout: timeout, authority: e.GetAuthority(), plain: e.GetSkipEnvoyHeaders(), maxMessage: defaultMaxMessage}
	if c.GetTimeout() != nil {
		s.Timeout = c.GetTimeout().AsDuration()
	}
	if local.IsValid() {
		s.forwardedFor = local.String()
	}
	if s.authority == "" {
		s.authority = s.Cluster
	}
	if m := e.GetMaxReceiveMessageLength(); m != nil {
		s.maxMessage = int(m.GetValue())
	}
	var err error
	s.metadata, err = CompileMetadata(p.Dot("initial_metadata"), c.GetInitialMetadata())
	return s, err
}

// CompileMetadata compiles initial metadata.
func CompileMetadata(p field.Path, list []*corev3.HeaderValue) (out []Metadata, err error) {
	for i, h := range list {
		hp := p.Index(i)
		if err := field.Only(hp, h, "key", "value", "raw_value"); err != nil {
			return nil, err
		}
		m := Metadata{name: strings.ToLower(h.GetKey()), value: h.GetValue() + string(h.GetRawValue())}
		if strings.Contains(m.value, "%") {
			if m.format, err = formatter.CompileHeader(hp.Dot("value"), m.value); err != nil {
				return nil, err
			}
		}
		out = append(out, m)
	}
	return out, nil
}
