package manager

import (
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/overload"
)

// shedFirst refuses, under load, a connection's first bytes.
func (m *ConnManager) shedFirst(b *network.Buffer) bool {
	if m.protocol != 0 || !m.w.cfg.overload.Sheds(overload.CreatingCodec) {
		return false
	}
	m.w.stats.DownstreamRqOverloadClose.Inc()
	m.shed(b)
	return true
}

// shedBytes refuses, under load, bytes for the codec. It returns true when
// they, and the connection, are gone.
func (m *ConnManager) shedBytes(b *network.Buffer) bool {
	o := m.w.cfg.overload
	if o.Sheds(overload.HTTP2GoAwayAndClose) {
		m.codec.GoAway()
		m.shed(b)
		return true
	}
	if m.protocol == http.HTTP2 && m.drain == notDraining && o.Sheds(overload.HTTP2GoAway) {
		m.startDrain()
	}
	return false
}

func (m *ConnManager) shed(b *network.Buffer) {
	b.Reset()
	m.conn.CloseBecause(network.FlushWriteAndDelay, "overload")
}
