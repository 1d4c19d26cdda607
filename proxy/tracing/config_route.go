package tracing

import (
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/formatter"
)

// RouteSpans is what a route says of its requests' spans, before the connection
// manager. It is immutable.
type RouteSpans struct {
	tags                CustomTags
	operation, upstream *formatter.Formatter // nil: as the manager says
}

// CompileRoute compiles a route's tracing at p but for its sampling.
func CompileRoute(p field.Path, m *routev3.Tracing) (*RouteSpans, error) {
	r := &RouteSpans{}
	var err error
	if r.operation, err = operation(p.Dot("operation"), m.GetOperation()); err != nil {
		return nil, err
	}
	if r.upstream, err = operation(p.Dot("upstream_operation"), m.GetUpstreamOperation()); err != nil {
		return nil, err
	}
	r.tags, err = NewCustomTags(p.Dot("custom_tags"), m.GetCustomTags())
	return r, err
}

// noRoute is of routes that say nothing.
var noRoute = &RouteSpans{}

// names tells whether one of the tags has this name.
func (t CustomTags) names(name string) bool {
	for i := range t {
		if t[i].name == name {
			return true
		}
	}
	return false
}
