package snicluster

import (
	sniv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/sni_cluster/v3"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/listener"
	"github.com/weirproxy/weir/proxy/network"
)

// TypeURL is the type of the filter's configuration.
const TypeURL = "type.googleapis.com/envoy.extensions.filters.network.sni_cluster.v3.SniCluster"

// Factory makes the filter's factories.
func Factory() listener.NetworkFactory { return listener.NetworkFrom(compile) }

func compile(field.Path, *sniv3.SniCluster, *listener.FactoryContext) (network.FilterFactory, error) {
	return func(cb *network.ReadCallbacks) network.ReadFilter { return filter{cb.Connection()} }, nil
}
