package admin

import (
	"net"
	"net/http"
	"sync"
	"time"
)

// openConnections tells traffic of the server's connections.
type openConnections struct {
	traffic Traffic
	begun   sync.Map // net.Conn → time.Time
}

// onState is an http.Server's ConnState.
func (c *openConnections) onState(conn net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		c.begun.Store(conn, time.Now())
		c.traffic.Connected()
	case http.StateClosed, http.StateHijacked:
		if begun, ok := c.begun.LoadAndDelete(conn); ok {
			c.traffic.Disconnected(time.Since(begun.(time.Time)))
		}
	}
}
