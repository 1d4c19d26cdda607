package filter

import (
	"fmt"

	"google.golang.org/protobuf/types/known/anypb"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/route"
	"github.com/weirproxy/weir/xds/protos"
)

// TypeURL is the type of a configuration, through a TypedStruct: the key of
// the tables in this package; "" when there is none.
func TypeURL(config *anypb.Any) string {
	name := protos.TypeName(config)
	if name == "" {
		return ""
	}
	return "type.googleapis.com/" + name
}

// RouteConfigs is route.Options.FilterConfig: it compiles
// typed_per_filter_config by the filters of a table. As in Envoy the type of
// the configuration tells which filter's it is; the name under which it
// stands says only which filter of a chain gets it. Types that no filter has,
// or whose filter takes nothing per route, give route.ErrUnknownFilter.
func RouteConfigs(table map[string]http.FilterMaker, ctx *http.FactoryContext) func(field.Path, string, *anypb.Any) (any, error) {
	makers := make(map[string]http.FilterMaker, 2*len(table))
	for url, m := range table {
		makers[url] = m
		if m.RouteTypeURL != "" {
			makers[m.RouteTypeURL] = m
		}
	}
	return func(p field.Path, name string, config *anypb.Any) (any, error) {
		m, ok := makers[TypeURL(config)]
		if !ok {
			return nil, p.Wrap(fmt.Errorf("%w: weir has no HTTP filter of type %q (filter %q)", route.ErrUnknownFilter, config.GetTypeUrl(), name))
		}
		if m.RouteConfig == nil {
			return nil, p.Wrap(fmt.Errorf("%w: the filter %q takes no configuration of virtual hosts or routes", route.ErrUnknownFilter, name))
		}
		return m.RouteConfig(p, config, ctx)
	}
}
