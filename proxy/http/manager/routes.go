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

// ClusterInfo is what logs say of a cluster: its name in statistics and its
// metadata by namespace. It is called on the worker.
type ClusterInfo func(worker int, name string) (stat string, metadata map[string]map[string]any, ok bool)

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

// noteCluster tells logs of the route's cluster, which a filter may keep the
// request from.
func (s *stream) noteCluster(name string) {
	if s.cfg.cluster == nil {
		return
	}
	if stat, metadata, ok := s.cfg.cluster(s.w.index, name); ok {
		s.info.Cluster, s.info.ClusterStatName, s.info.ClusterMetadata = name, stat, metadata
	}
}

// findRoute chooses the stream's route, once until ClearRouteCache.
func (s *stream) findRoute() http.Route {
	if s.routeKnown {
		return s.route
	}
	s.routeKnown, s.route = true, nil
	i := &s.info
	i.RouteName, i.VirtualHost, i.Cluster, i.ClusterStatName = "", "", "", ""
	i.RouteMetadata, i.VirtualHostMetadata, i.ClusterMetadata = nil, nil, nil
	if rc := s.routeConfig(); rc != nil {
		// A nil *route.Route must not become a non-nil http.Route.
		if r := rc.Route(&s.request, i, s.random); r != nil {
			s.route = r
			i.RouteName, i.VirtualHost, i.RouteMetadata = r.RouteName(), r.VirtualHostName(), r.Metadata()
			if r.Forward() != nil {
				s.noteCluster(r.Cluster(&s.request))
			}
		}
	}
	return s.route
}
