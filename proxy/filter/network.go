package filter

import (
	"github.com/weirproxy/weir/proxy/filter/network/directresponse"
	"github.com/weirproxy/weir/proxy/filter/network/localratelimit"
	"github.com/weirproxy/weir/proxy/filter/network/rbac"
	"github.com/weirproxy/weir/proxy/listener"
)

// Network is the table of network filters, by the type URL of their
// configuration, but for those that the server makes: the HTTP connection
// manager and tcp_proxy.
func Network() map[string]listener.NetworkFilter {
	return map[string]listener.NetworkFilter{
		directresponse.TypeURL: {New: directresponse.New, Terminal: true},
		localratelimit.TypeURL: {New: localratelimit.New},
		rbac.TypeURL:           {New: rbac.New},
	}
}
