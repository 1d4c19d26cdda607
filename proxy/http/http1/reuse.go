package http1

import (
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/network"
)

// Idle tells whether the codec knows nothing of its connection that a new
// codec would not: between requests it can serve another connection (Attach).
func (s *server) Idle() bool {
	return s.phase == phaseHead && s.dec == nil && s.callbacks == nil && s.blank == 0 && s.readOff == 0 &&
		!s.dispatching && !s.paused && !s.flooded && !s.closing && s.in.data.Len() == 0
}

// Attach gives an idle codec to a connection of the same worker.
func (s *server) Attach(conn *network.Connection, cb http.ServerCallbacks) {
	s.enc.conn, s.cb = conn, cb
}
