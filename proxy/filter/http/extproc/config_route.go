package extproc

import (
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_proc/v3"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/grpc"
	"github.com/weirproxy/weir/proxy/http"
)

// namespaces takes metadata_options. What a processor sends of typed metadata
// Envoy drops, too.
func (s *settings) namespaces(p field.Path, c *extprocv3.MetadataOptions) error {
	if err := field.Only(p, c, "forwarding_namespaces", "receiving_namespaces", "cluster_metadata_forwarding_namespaces"); err != nil {
		return err
	}
	if c.GetForwardingNamespaces() != nil {
		s.forward, s.forwardTyped = c.ForwardingNamespaces.GetUntyped(), c.ForwardingNamespaces.GetTyped()
	}
	if c.GetReceivingNamespaces() != nil {
		s.receive = c.ReceivingNamespaces.GetUntyped()
	}
	if c.GetClusterMetadataForwardingNamespaces() != nil {
		s.forwardCluster = c.ClusterMetadataForwardingNamespaces.GetUntyped()
	}
	return nil
}

// routeSettings is an ExtProcPerRoute compiled; nil fields leave what less
// specific ones, or the filter, say.
type routeSettings struct {
	disabled     bool
	mode         *mode
	service      *grpc.Service
	initial      []grpc.Metadata
	metadata     settings // namespaces only
	failureAllow *bool
}

// routeConfig compiles an ExtProcPerRoute.
func routeConfig(p field.Path, m *extprocv3.ExtProcPerRoute, ctx *http.FactoryContext) (r *routeSettings, err error) {
	r = &routeSettings{disabled: m.GetDisabled()}
	o := m.GetOverrides()
	p = p.Dot("overrides")
	// The attributes that a route asks for, and async_mode, change nothing in Envoy either.
	if err := field.Only(p, o, "processing_mode", "grpc_service", "metadata_options", "grpc_initial_metadata", "failure_mode_allow", "request_attributes", "response_attributes", "emit_client_span",
		"async_mode"); err != nil {
		return nil, err
	}
	if err := noClientSpan(p, o.GetEmitClientSpan()); err != nil {
		return nil, err
	}
	if o.GetProcessingMode() != nil {
		x, err := compileMode(p.Dot("processing_mode"), o.ProcessingMode)
		if err != nil {
			return nil, err
		}
		r.mode = &x
	}
	if err := r.metadata.namespaces(p.Dot("metadata_options"), o.GetMetadataOptions()); err != nil {
		return nil, err
	}
	if v := o.GetFailureModeAllow(); v != nil {
		r.failureAllow = &v.Value
	}
	if r.initial, err = grpc.CompileMetadata(p.Dot("grpc_initial_metadata"), o.GetGrpcInitialMetadata()); err != nil {
		return nil, err
	}
	if o.GetGrpcService() != nil {
		r.service, err = grpc.Compile(p.Dot("grpc_service"), o.GrpcService, 0, ctx.LocalAddress)
	}
	return r, err
}
