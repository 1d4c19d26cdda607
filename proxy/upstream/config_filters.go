package upstream

import (
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/xds/protos"
)

// NetworkFactory compiles the configuration of a network filter of upstream
// connections, on main. Workers call what it returns.
type NetworkFactory func(path field.Path, config *anypb.Any, ctx *TransportContext) (network.FilterFactory, error)

// networkFilters compiles the cluster's network filters.
func (m *Manager) networkFilters(p field.Path, fs []*clusterv3.Filter, cfg *config) error {
	for i, f := range fs {
		p := p.Index(i)
		if err := field.Only(p, f, "name", "typed_config"); err != nil {
			return err
		}
		p = p.Dot("typed_config")
		make, ok := m.o.NetworkFilters["type.googleapis.com/"+protos.TypeName(f.GetTypedConfig())]
		if !ok {
			return p.Errorf("weir has no network filter of type %q for clusters (filter %q)", f.GetTypedConfig().GetTypeUrl(), f.GetName())
		}
		factory, err := make(p, f.GetTypedConfig(), &TransportContext{Stats: m.o.Stats, StatPrefix: cfg.info.StatScope().Prefix, m: m, cfg: cfg})
		if err != nil {
			return err
		}
		cfg.info.Filters = append(cfg.info.Filters, factory)
	}
	return nil
}
