package manager

import (
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	uuidv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/request_id/uuid/v3"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/tracing"
	"github.com/weirproxy/weir/xds/protos"
)

// buildTracing compiles tracing and the request ids that it goes by.
func (c *Config) buildTracing(p field.Path, m *hcmv3.HttpConnectionManager, o Options) error {
	id := &uuidv3.UuidRequestIdConfig{}
	if x := m.GetRequestIdExtension().GetTypedConfig(); x != nil {
		p := p.Dot("request_id_extension").Dot("typed_config")
		if err := protos.Unpack(p, x, id); err != nil {
			return err
		}
		if err := field.Only(p, id, "pack_trace_reason", "use_request_id_for_trace_sampling"); err != nil {
			return err
		}
	}
	if m.GetTracing() == nil {
		return nil
	}
	o.Tracing.StatPrefix = m.GetStatPrefix()
	var err error
	c.tracing, err = tracing.Compile(p.Dot("tracing"), m.GetTracing(), id, o.Tracing)
	return err
}
