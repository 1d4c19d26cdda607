package httpinspector

import (
	httpinspectorv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/listener/http_inspector/v3"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/listener"
	"github.com/weirproxy/weir/proxy/stats"
)

// TypeURL is the type of the filter's configuration, which has no fields.
const TypeURL = "type.googleapis.com/envoy.extensions.filters.listener.http_inspector.v3.HttpInspector"

// Factory makes the filter's factories.
func Factory() listener.FilterFactory { return listener.FilterFrom(compile) }

func compile(_ field.Path, _ *httpinspectorv3.HttpInspector, ctx *listener.FactoryContext) (listener.Filter, error) {
	group := stats.NewGroup[Stats](ctx.Stats, stats.Scope{Prefix: "http_inspector."})
	ctx.OnClose(group.Close)
	return &filter{group}, nil
}
