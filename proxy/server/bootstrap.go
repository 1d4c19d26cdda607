package server

import (
	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"

	"github.com/weirproxy/weir/internal/field"
)

// supported refuses what weir does not do of a bootstrap.
func supported(b *bootstrapv3.Bootstrap) error {
	if err := field.Only("", b, "node", "static_resources", "dynamic_resources", "admin", "stats_flush_interval",
		"cluster_manager", "node_context_params", "layered_runtime"); err != nil {
		return err
	}
	if err := field.Only("static_resources", b.GetStaticResources(), "listeners", "clusters", "secrets"); err != nil {
		return err
	}
	if err := field.Only("dynamic_resources", b.GetDynamicResources(), "lds_config", "cds_config", "ads_config"); err != nil {
		return err
	}
	for i, l := range b.GetLayeredRuntime().GetLayers() {
		p := field.Path("layered_runtime.layers").Index(i)
		if err := field.Only(p, l, "name", "static_layer", "admin_layer"); err != nil {
			return err
		}
	}
	return field.Only("cluster_manager", b.GetClusterManager(), "local_cluster_name")
}
