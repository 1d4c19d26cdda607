package health

import (
	"bytes"

	"github.com/weirproxy/weir/proxy/network"
)

// tcpProbe connects, and where configured sends bytes and waits for others.
type tcpProbe struct {
	network.NoWatermarks
	s       *session
	conn    *network.Connection
	waiting bool // for the result of a check
	seen    []byte
}

// maxSeen bounds what a host may answer before what is expected.
const maxSeen = 64 << 10

func (p *tcpProbe) start() {
	p.waiting, p.seen = true, p.seen[:0]
	if p.conn != nil {
		p.send()
		return
	}
	var err error
	if p.conn, err = p.s.dial(p, p); err != nil {
		p.conn, p.waiting = nil, false
		p.s.failure(networkFailure, false, 0)
	}
}

func (p *tcpProbe) send() {
	if b := p.s.c.cfg.TCP.Send; len(b) > 0 {
		buf := p.s.c.o.Main.NewBuffer()
		buf.Append(b)
		p.conn.Write(buf, false)
	}
}

func (p *tcpProbe) abandon() { p.close() }

func (p *tcpProbe) close() {
	p.waiting = false
	if c := p.conn; c != nil {
		p.conn = nil
		c.Close(network.NoFlush)
	}
}

// passed ends a check.
func (p *tcpProbe) passed() {
	p.waiting = false
	if cfg := p.s.c.cfg; len(cfg.TCP.Receive) == 0 || !cfg.Reuse {
		p.close()
	}
	p.s.success(false, 0)
}

// OnEvent implements network.ConnectionCallbacks.
func (p *tcpProbe) OnEvent(ev network.ConnectionEvent) {
	if p.conn == nil {
		return // closed from here
	}
	if ev == network.Connected {
		if p.send(); len(p.s.c.cfg.TCP.Receive) == 0 {
			p.passed()
		}
		return
	}
	p.conn, p.waiting = nil, false
	p.s.failure(networkFailure, false, 0)
}

// OnNewConnection implements network.ReadFilter.
func (p *tcpProbe) OnNewConnection() network.FilterStatus { return network.Continue }

// OnData implements network.ReadFilter.
func (p *tcpProbe) OnData(b *network.Buffer, _ bool) network.FilterStatus {
	for piece := range b.Pieces {
		p.seen = append(p.seen, piece...)
	}
	b.Reset()
	switch {
	case !p.waiting:
		p.seen = p.seen[:0]
	case inOrder(p.s.c.cfg.TCP.Receive, p.seen):
		p.passed()
	case len(p.seen) > maxSeen:
		p.close()
		p.s.failure(active, false, 0)
	}
	return network.StopIteration
}

// inOrder tells whether b has all parts, one after the other, with anything
// between.
func inOrder(parts [][]byte, b []byte) bool {
	for _, part := range parts {
		i := bytes.Index(b, part)
		if i < 0 {
			return false
		}
		b = b[i+len(part):]
	}
	return true
}
