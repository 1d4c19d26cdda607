package httpinspector

import (
	httpinspectorv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/listener/http_inspector/v3"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/listener"
	"github.com/weirproxy/weir/proxy/stats"
	"github.com/weirproxy/weir/xds/protos"
)

// TypeURL is the type of the filter's configuration, which has no fields.
const TypeURL = "type.googleapis.com/envoy.extensions.filters.listener.http_inspector.v3.HttpInspector"

// New is a listener.FilterFactory.
func New(path field.Path, config *anypb.Any, ctx *listener.FactoryContext) (listener.Filter, error) {
	if err := protos.Unpack(path, config, &httpinspectorv3.HttpInspector{}); err != nil {
		return nil, err
	}
	group := stats.NewGroup[Stats](ctx.Stats, stats.Scope{Prefix: "http_inspector."})
	ctx.OnClose(group.Close)
	return &filter{group}, nil
}
