package router

import (
	codecv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/upstream_codec/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/http/filterchain"
)

// CodecTypeURL is the type of the filter that ends a chain of upstream filters.
const CodecTypeURL = "type.googleapis.com/envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec"

// CodecMaker makes the filter that ends a chain of upstream filters: it gives
// what it gets to the connection.
func CodecMaker() http.FilterMaker {
	return http.FilterMaker{Terminal: true, Upstream: true, New: http.NewFrom(func(field.Path, *codecv3.UpstreamCodec, *http.FactoryContext) (codecFactory, error) {
		return codecFactory{}, nil
	})}
}

// CompileFilters compiles a chain of upstream filters at p, whose makers lookup
// knows; nil when there is nothing in it but the codec.
func CompileFilters(p field.Path, fs []*hcmv3.HttpFilter, lookup http.FilterLookup, ctx *http.FactoryContext) (*Filters, error) {
	for i, f := range fs {
		if f.GetConfigDiscovery() != nil {
			return nil, p.Index(i).Dot("config_discovery").Errorf("weir does not support it for upstream filters")
		}
	}
	chain, err := filterchain.Compile(p, fs, lookup, ctx)
	if err != nil || len(chain) < 2 {
		return nil, err
	}
	return &Filters{chain, make([]filterchain.Scratch, len(ctx.Loops))}, nil
}
