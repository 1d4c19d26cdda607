package tcpproxy

import "github.com/weirproxy/weir/proxy/network"

// When to connect upstream (TcpProxy.upstream_connect_mode).
type connectWhen uint8

const (
	connectAtOnce connectWhen = iota
	connectOnData
	connectOnHandshake
)

// early is what the client has sent before there was an upstream
// (max_early_data_bytes).
type early struct {
	data   network.Buffer
	end    bool
	paused bool
}

// keep puts the client's bytes by, and connects if that waits for them.
func (p *proxy) keep(b *network.Buffer, end bool) {
	if p.early == nil {
		p.stats.EarlyData.Inc()
		p.early = &early{}
		p.early.data.Init(&p.down.Loop().Pool)
	}
	e := p.early
	e.data.Move(b)
	e.end = e.end || end
	if !e.paused && e.data.Len() > int(p.s.earlyLimit) {
		e.paused = true
		p.down.ReadDisable(true)
	}
	if p.s.when == connectOnData && !p.begun {
		p.connect()
	}
}

// sendEarly passes it on.
func (p *proxy) sendEarly() {
	e := p.early
	if e == nil {
		return
	}
	p.early = nil
	p.up.Write(&e.data, e.end)
	if e.paused && !p.over {
		p.down.ReadDisable(false)
	}
}
