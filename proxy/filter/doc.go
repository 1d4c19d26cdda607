// Package filter is the list of weir's filters: one table for each kind, by
// the type URL of their configuration. Every filter has a package of its own
// below, and one line in a table here.
//
// # Listener and network filters
//
// A filter's package has in its config.go
//
//	const TypeURL = "type.googleapis.com/envoy.extensions.filters.network.x.v3.X"
//
//	func Factory(…) listener.NetworkFactory // or listener.FilterFactory
//
// for which listener.NetworkFrom and listener.FilterFrom make of a function
// that compiles a message one that takes the configuration's Any.
//
// # HTTP filters
//
// A filter's package has in its config.go
//
//	const TypeURL = "type.googleapis.com/envoy.extensions.filters.http.x.v3.X"
//
//	func Maker(…) http.FilterMaker
//
// for which http.NewFrom and http.RouteFrom make of a function that compiles a
// message one that takes the configuration's Any.
//
// What a filter can be told for a virtual host or a route
// (typed_per_filter_config) is compiled by RouteConfig of that maker; its
// RouteTypeURL is the type, when it differs from the filter's own:
//
//	http.FilterMaker{
//		New:          newFactory,
//		RouteConfig:  func(p field.Path, c *anypb.Any, ctx *http.FactoryContext) (any, error) { … return &perRoute{…}, nil },
//		RouteTypeURL: "type.googleapis.com/envoy.extensions.filters.http.x.v3.XPerRoute",
//	}
//
// On a stream the filter asks for the most specific one (weighted cluster,
// route, virtual host, route configuration), or for those of all levels when
// it merges them; neither allocates:
//
//	if c, ok := http.RouteConfig[*perRoute](f.cb); ok { … }
//
//	for _, level := range route.FilterConfigs(f.cb.FilterName()) { // least specific first
//		if c, ok := level.(*perRoute); ok { … }
//	}
//
// The wrapper envoy.config.route.v3.FilterConfig (disabled, is_optional) and
// the connection manager's disabled filters need nothing of a filter: it is
// left out of the streams whose route switches it off. A compiled
// configuration with a Close method is closed, on main, when its route
// configuration is replaced.
package filter
