package formatter

import (
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/streaminfo"
)

// OfRequest is what a filter has of its stream, as long as there is no
// response.
func OfRequest(cb http.FilterCallbacks) Context {
	loop := cb.Loop()
	return Context{Info: cb.StreamInfo(), RequestHeaders: cb.RequestHeaders(), Now: loop.Now(), Time: loop.Time()}
}

// OfConnection is what there is to a connection.
func OfConnection(c *network.Connection) Context {
	loop := c.Loop()
	return Context{Info: streaminfo.OfConnection(c), Now: loop.Now(), Time: loop.Time()}
}
