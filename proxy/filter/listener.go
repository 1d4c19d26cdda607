package filter

import "github.com/weirproxy/weir/proxy/listener"

// Listener is the table of listener filters.
func Listener() map[string]listener.FilterFactory {
	return map[string]listener.FilterFactory{}
}
