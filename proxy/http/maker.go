package http

import (
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/fraction"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/stats"
)

// FilterMaker turns the configuration of one type of HTTP filter into
// factories. The table of all of them is in proxy/filter.
type FilterMaker struct {
	// New compiles a filter's configuration.
	New func(path field.Path, config *anypb.Any, ctx *FactoryContext) (FilterFactory, error)
	// Terminal tells that the filter answers requests and so is the last.
	Terminal bool
}

// RouteConfigMaker compiles one type of typed_per_filter_config; the result
// is what Route.FilterConfig returns.
type RouteConfigMaker func(path field.Path, config *anypb.Any) (any, error)

// FactoryContext is what a filter's factory may use of its connection manager.
type FactoryContext struct {
	Stats      *stats.Store
	StatPrefix string // the manager's, "in" for http.in.
	Loops      []*network.Loop
	Runtime    fraction.Runtime
}
