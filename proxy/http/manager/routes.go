package manager

import (
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/route"
)

// RouteProvider holds a manager's route configuration, fixed or kept up to
// date by RDS.
type RouteProvider interface {
	// Config is the worker's current configuration, nil while there is none.
	// It is called on that worker.
	Config(worker int) *route.Config
}

// ScopedRoutes is a RouteProvider whose configurations differ by request.
type ScopedRoutes interface {
	// Scoped is the worker's configuration for a request, nil when there is
	// none. It is called on that worker.
	Scoped(worker int, h *http.HeaderMap) *route.Config
}

// StaticRoutes is a configuration that does not change.
type StaticRoutes struct{ Routes *route.Config }

// Config implements RouteProvider.
func (s StaticRoutes) Config(int) *route.Config { return s.Routes }

func (s *stream) routeConfig() *route.Config {
	if s.cfg.scoped != nil {
		return s.cfg.scoped.Scoped(s.w.index, &s.request)
	}
	return s.cfg.routes.Config(s.w.index)
}

// findRoute chooses the stream's route, once until ClearRouteCache.
func (s *stream) findRoute() http.Route {
	if s.routeKnown {
		return s.route
	}
	s.routeKnown, s.route = true, nil
	s.info.RouteName, s.info.VirtualHost = "", ""
	if rc := s.routeConfig(); rc != nil {
		// A nil *route.Route must not become a non-nil http.Route.
		if r := rc.Route(&s.request, &s.info, s.random); r != nil {
			s.route = r
			s.info.RouteName, s.info.VirtualHost = r.RouteName(), r.VirtualHostName()
		}
	}
	return s.route
}
