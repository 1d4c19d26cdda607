package composite

import (
	"maps"

	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/stats"
	"github.com/weirproxy/weir/proxy/streaminfo"
)

// Stats are under <stat_prefix>composite.
type Stats struct {
	Success stats.Counter `stat:"filter_delegation_success"`
	Error   stats.Counter `stat:"filter_delegation_error"`
}

func newStats(ctx *http.FactoryContext) *stats.Group[Stats] {
	return stats.NewGroup[Stats](ctx.Stats, stats.Scope{Prefix: ctx.StatPrefix + "composite."})
}

// matchedActions is the name of the filter state that has, by the composite
// filter's name, that of the filter that it ran.
const matchedActions = "envoy.extensions.filters.http.composite.matched_actions"

// note tells the filter state what the filter of this name has run.
func note(info *streaminfo.Info, filter, ran string) {
	old, _ := info.FilterState[matchedActions].(map[string]any)
	all := maps.Clone(old)
	if all == nil {
		all = map[string]any{}
	}
	all[filter] = ran
	info.SetFilterState(matchedActions, all)
}
