package http

import (
	"log/slog"
	"net/netip"

	"google.golang.org/protobuf/types/known/anypb"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/ecds"
	"github.com/weirproxy/weir/proxy/fraction"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/secret"
	"github.com/weirproxy/weir/proxy/stats"
)

// FilterMaker turns the configuration of one type of HTTP filter into
// factories. The table of all of them is in proxy/filter.
type FilterMaker struct {
	// New compiles a filter's configuration.
	New func(path field.Path, config *anypb.Any, ctx *FactoryContext) (FilterFactory, error)
	// Terminal tells that the filter answers requests and so is the last.
	Terminal bool
	// RouteConfig compiles the filter's typed_per_filter_config; nil when it
	// takes none.
	RouteConfig RouteConfigMaker
	// Upstream tells that the filter may stand in a chain of upstream filters.
	Upstream bool
	// RouteTypeURL is the type of that configuration; "" when it is the type
	// of the filter's own.
	RouteTypeURL string
}

// RouteConfigMaker compiles one type of typed_per_filter_config; the result
// is what Route.FilterConfig returns. It is called on main, is read by all
// workers and, when it has a Close method, is closed on main when its route
// configuration is replaced or gone; requests under way may still use it.
type RouteConfigMaker func(path field.Path, config *anypb.Any, ctx *FactoryContext) (any, error)

// FactoryContext is what a filter's factory may use of its connection manager.
type FactoryContext struct {
	Stats *stats.Store
	// StatPrefix begins the names of the filter's statistics: "http.in." in a
	// manager, "cluster.c." in a cluster; "" for configurations of routes,
	// which several managers may share.
	StatPrefix string
	Loops      []*network.Loop
	Runtime    fraction.Runtime
	// RuntimeNumber is Runtime for fractional numbers; nil: it has no keys.
	RuntimeNumber func(key string, otherwise float64) float64
	// ServiceCluster is the proxy's own cluster (--service-cluster).
	ServiceCluster string
	// NodeID and NodeMetadata are the bootstrap's node.
	NodeID       string
	NodeMetadata map[string]any
	// HealthCheckFailed tells whether the admin interface has the instance
	// fail health checks; nil: never. Workers call it.
	HealthCheckFailed func() bool
	// Sheds tells, under load, that a request is not to go upstream; nil: all
	// may. Workers call it.
	Sheds func() bool
	// Secrets has the generic secrets that a configuration names.
	Secrets secret.Source
	// LocalAddress is the machine's own, for X-Forwarded-For.
	LocalAddress netip.Addr
	// FilterLog is where filters log.
	FilterLog *slog.Logger
	// Discovery brings configurations of filters within filters, for which
	// Scope waits; nil where there are none (in routes).
	Discovery ecds.Discovery
	Scope     ecds.Scope
}
