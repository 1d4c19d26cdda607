package ratelimit

import (
	"net/netip"
	"time"

	ratelimitv3 "github.com/envoyproxy/go-control-plane/envoy/config/ratelimit/v3"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/grpc"
	"github.com/weirproxy/weir/xds/protos"
)

// defaultTimeout bounds a question.
const defaultTimeout = 20 * time.Millisecond

// Compile compiles the service that a filter asks. The filter's timeout is the
// call's, whatever grpc_service says; local is the machine's address.
func Compile(p field.Path, m *ratelimitv3.RateLimitServiceConfig, timeout *durationpb.Duration, local netip.Addr) (*grpc.Service, error) {
	if err := field.Only(p, m, "grpc_service", "transport_api_version"); err != nil {
		return nil, err
	}
	if err := protos.CheckVersion(p.Dot("transport_api_version"), m.GetTransportApiVersion()); err != nil {
		return nil, err
	}
	s, err := grpc.Compile(p.Dot("grpc_service"), m.GetGrpcService(), defaultTimeout, local)
	if err != nil {
		return nil, err
	}
	s.Timeout = defaultTimeout
	if timeout != nil {
		s.Timeout = timeout.AsDuration()
	}
	return s, nil
}
