package filter

import (
	"github.com/weirproxy/weir/proxy/filter/network/connectionlimit"
	"github.com/weirproxy/weir/proxy/filter/network/directresponse"
	"github.com/weirproxy/weir/proxy/filter/network/echo"
	"github.com/weirproxy/weir/proxy/filter/network/localratelimit"
	"github.com/weirproxy/weir/proxy/filter/network/rbac"
	"github.com/weirproxy/weir/proxy/filter/network/setfilterstate"
	"github.com/weirproxy/weir/proxy/filter/network/snicluster"
	"github.com/weirproxy/weir/proxy/listener"
)

// Network is the table of network filters, by the type URL of their
// configuration, but for those that the server makes: the HTTP connection
// manager and tcp_proxy.
func Network() map[string]listener.NetworkFilter {
	return map[string]listener.NetworkFilter{
		connectionlimit.TypeURL: {New: connectionlimit.Factory()},
		directresponse.TypeURL:  {New: directresponse.Factory(), Terminal: true},
		echo.TypeURL:            {New: echo.Factory(), Terminal: true},
		localratelimit.TypeURL:  {New: localratelimit.Factory()},
		rbac.TypeURL:            {New: rbac.Factory()},
		setfilterstate.TypeURL:  {New: setfilterstate.Factory()},
		snicluster.TypeURL:      {New: snicluster.Factory()},
	}
}
