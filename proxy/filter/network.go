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
		connectionlimit.TypeURL: {New: connectionlimit.New},
		directresponse.TypeURL:  {New: directresponse.New, Terminal: true},
		echo.TypeURL:            {New: echo.New, Terminal: true},
		localratelimit.TypeURL:  {New: localratelimit.New},
		rbac.TypeURL:            {New: rbac.New},
		setfilterstate.TypeURL:  {New: setfilterstate.New},
		snicluster.TypeURL:      {New: snicluster.New},
	}
}
