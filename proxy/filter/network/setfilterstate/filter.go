package setfilterstate

import (
	"github.com/weirproxy/weir/proxy/filterstate"
	"github.com/weirproxy/weir/proxy/formatter"
	"github.com/weirproxy/weir/proxy/network"
)

type settings struct {
	early filterstate.Values // of each new connection
	late  filterstate.Values // of TLS connections, when the peer is known
}

func (s *settings) newFilter(cb *network.ReadCallbacks) network.ReadFilter {
	return &filter{s: s, conn: cb.Connection()}
}

type filter struct {
	s    *settings
	conn *network.Connection
	done bool // the late values are set
}

// OnNewConnection implements network.ReadFilter.
func (f *filter) OnNewConnection() network.FilterStatus {
	f.set(f.s.early)
	return network.Continue
}

// OnData implements network.ReadFilter: the first bytes come when the
// handshake is over.
func (f *filter) OnData(*network.Buffer, bool) network.FilterStatus {
	if !f.done {
		f.done = true
		if i := f.conn.Info; i != nil && i.TLS != nil {
			f.set(f.s.late)
		}
	}
	return network.Continue
}

func (f *filter) set(vs filterstate.Values) {
	if len(vs) == 0 {
		return
	}
	info, c := f.conn.EnsureInfo(), formatter.OfConnection(f.conn)
	vs.Set(&c, info)
}
