package lua

import "github.com/weirproxy/weir/proxy/stats"

// Stats are under http.<prefix>.lua.
type Stats struct {
	Errors     stats.Counter `stat:"errors"`
	Executions stats.Counter `stat:"executions"`
}
