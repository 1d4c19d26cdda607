package route

import "github.com/weirproxy/weir/proxy/http"

// filterConfigs are the typed_per_filter_config of one level.
type filterConfigs []filterConfig

type filterConfig struct {
	name     string
	config   any // nil when it only says disabled or not
	disabled bool
}

func (fs filterConfigs) find(name string) *filterConfig {
	for i := range fs {
		if fs[i].name == name {
			return &fs[i]
		}
	}
	return nil
}

// levels are the route's filter configurations, the least specific first.
func (r *Route) levels() [http.RouteLevels]filterConfigs {
	e := r.entry
	l := [http.RouteLevels]filterConfigs{e.vhost.config.filterConfigs, e.vhost.filterConfigs, e.filterConfigs}
	if r.cluster != nil {
		l[3] = r.cluster.filterConfigs
	}
	return l
}

// FilterConfig implements http.Route.
func (r *Route) FilterConfig(name string) any {
	levels := r.levels()
	for i := len(levels) - 1; i >= 0; i-- {
		if f := levels[i].find(name); f != nil && f.config != nil {
			return f.config
		}
	}
	return nil
}

// FilterConfigs implements http.Route.
func (r *Route) FilterConfigs(name string) (all [http.RouteLevels]any) {
	for i, l := range r.levels() {
		if f := l.find(name); f != nil {
			all[i] = f.config
		}
	}
	return all
}

// FilterDisabled implements http.Route: the most specific level that mentions
// the filter decides.
func (r *Route) FilterDisabled(name string) (disabled, known bool) {
	levels := r.levels()
	for i := len(levels) - 1; i >= 0; i-- {
		if f := levels[i].find(name); f != nil {
			return f.disabled, true
		}
	}
	return false, false
}
