package listener

import (
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/streaminfo"
)

// conn is a connection of a listener, in one piece of memory with what the
// listener keeps of it.
type conn struct {
	network.NoWatermarks
	network.Connection
	links[conn]
	at *place
}

// inspected takes a socket whose listener filters are done: to the listener of
// its original destination, or to a connection. p is not nil when the socket
// had to wait and is watched by the loop.
func (al *activeListener) inspected(s *Socket, p *pending) {
	if al.l.originalDst && !s.handedOff && s.partner == 0 {
		if other := al.handOff(s); other != nil {
			if p != nil {
				al.h.loop.Remove(s.fd)
			}
			al.left()
			s.listener, s.next, s.handedOff = other, 0, true
			other.takeOver(s)
			return
		}
	}
	chain := al.l.find(s)
	if chain == nil {
		al.stats.NoFilterChainMatch.Inc()
		al.logSocket(s, al.noChain)
		if p != nil {
			al.h.loop.Forget(s.fd)
		}
		al.drop(s)
		return
	}
	al.connect(s, p, chain)
}

// handOff finds another listener for where the client was going.
func (al *activeListener) handOff(s *Socket) *activeListener {
	if !s.localRestored {
		if a, ok := network.OriginalDst(s.fd, s.Local); ok && a.AddrPort != s.Local.AddrPort {
			s.RestoreLocal(a)
		}
	}
	if !s.localRestored {
		return nil
	}
	if other := al.h.byDestination(s.Local); other != al {
		return other
	}
	return nil
}

func (al *activeListener) connect(s *Socket, p *pending, chain *Chain) {
	h := al.h
	c := &conn{at: &chain.on[h.worker]}
	o := network.Options{BufferLimit: al.l.bufferLimit, ID: h.connID()}
	if chain.transport != nil {
		o.Transport = chain.transport(h.loop)
	}
	c.InitServer(h.loop, s.fd, s.Local, s.Remote, o)
	if s.partner > 0 {
		s.Info().Partner = s.partner
	}
	if e := h.loop.Kept.Opened(s.fd); e != nil && !s.handedOff {
		e.SetChain(c.at.key)
	}
	if s.info != nil {
		s.info.ChainName = chain.name
		c.Info = s.info
	}
	al.conns.add(c)
	c.AddCallbacks(c)
	al.stats.CxTotal.Inc()
	al.stats.CxActive.Inc()
	al.hstats.CxTotal.Inc()
	al.hstats.CxActive.Inc()
	if s.pod != nil {
		s.pod.opened(&c.Connection)
	}
	if chain.connectTimeout > 0 && o.Transport != nil {
		c.watchConnect()
	}
	c.BuildFilters(chain.filters)
	if len(chain.filters) == 0 || (len(s.begun) > 0 || s.partner > 0) && o.Transport != nil { // it has come in clear
		c.dropPartner()
		c.Close(network.NoFlush)
		return
	}
	// One that a filter has closed with what is to be flushed goes on: its end
	// must be seen.
	running := c.Start()
	if c.dropPartner(); !running {
		return
	}
	if len(s.begun) > 0 && c.Open() {
		c.Begin(s.begun)
	}
	if p != nil {
		c.TakeOver(p.seen)
	} else if err := c.Register(); err != nil {
		h.shared.log.Error("cannot watch a connection", "listener", al.l.name, "err", err)
		c.Close(network.NoFlush)
	}
}

// connID is unique among the connections of all workers.
func (h *handler) connID() uint64 {
	h.nextID++
	return h.nextID*uint64(len(h.shared.handlers)) + uint64(h.worker)
}

// OnEvent implements network.ConnectionCallbacks.
func (c *conn) OnEvent(ev network.ConnectionEvent) {
	if ev == network.Connected {
		return
	}
	al := c.at.al
	al.conns.remove(c)
	al.stats.CxDestroy.Inc()
	al.stats.CxActive.Dec()
	al.hstats.CxActive.Dec()
	if p := podOf(&c.Connection); p != nil {
		p.closed(al.h.shared, &c.Connection)
	}
	al.stats.CxLengthMs.Record(uint64((c.Loop().Now() - c.Opened()).Milliseconds()))
	if len(al.l.accessLogs) > 0 {
		c.log()
	}
	al.left()
}

// log writes the listener's access logs, one line a connection.
func (c *conn) log() {
	now := c.Loop().Now()
	info := streaminfo.Info{
		Conn: &c.Connection, Start: c.Loop().Time().Add(c.Opened() - now), Begin: c.Opened(), End: now,
		BytesReceived: c.BytesReceived(), BytesSent: c.BytesSent(), WireBytesReceived: c.BytesReceived(), WireBytesSent: c.BytesSent(),
		FilterChain: c.at.chain.name, Listener: c.at.al.l.name,
		DownstreamLocal: c.LocalAddress(), DownstreamRemote: c.RemoteAddress(),
		DownstreamDirectLocal: c.LocalAddress(), DownstreamDirectRemote: c.RemoteAddress(), DownstreamFailure: c.FailureReason(),
	}
	if i := c.Info; i != nil {
		info.DownstreamDirectLocal, info.DownstreamDirectRemote, info.RequestedServerName = i.DirectLocal, i.DirectRemote, i.ServerName
		info.JA3, info.JA4 = i.JA3, i.JA4
		info.Metadata, info.FilterState, info.TerminationDetails = i.Metadata, i.FilterState, i.TerminationDetails
		if info.DownstreamFailure == "" {
			info.DownstreamFailure = i.NotTLS
		}
		info.Flags, info.ResponseCodeDetails, info.DownstreamLocalClose = streaminfo.Flags(i.Flags), i.Details, i.CloseReason
	}
	for _, a := range c.at.al.l.accessLogs {
		a.Log(c.Loop(), &info)
	}
}

// noChain is what logs tell of a socket that no filter chain matches.
func (al *activeListener) noChain(s *Socket) streaminfo.Info {
	info := al.closedEarly(s)
	info.ResponseCodeDetails = "filter_chain_not_found"
	info.SetFlag(streaminfo.NoRouteFound)
	return info
}

// closedEarly is what logs tell of a socket that does not become a connection.
func (al *activeListener) closedEarly(s *Socket) streaminfo.Info {
	now := al.h.loop.Now()
	info := streaminfo.Info{
		Listener: al.l.name, Start: al.h.loop.Time(), Begin: now, End: now,
		DownstreamLocal: s.Local, DownstreamRemote: s.Remote, DownstreamDirectRemote: s.directRemote, DownstreamDirectLocal: s.Local,
	}
	if i := s.info; i != nil {
		info.DownstreamDirectLocal, info.RequestedServerName, info.DownstreamFailure = i.DirectLocal, i.ServerName, i.NotTLS
		info.JA3, info.JA4 = i.JA3, i.JA4
		info.Metadata, info.FilterState = i.Metadata, i.FilterState
	}
	return info
}

func (al *activeListener) logSocket(s *Socket, tell func(*Socket) streaminfo.Info) {
	if len(al.l.accessLogs) == 0 {
		return
	}
	info := tell(s)
	for _, a := range al.l.accessLogs {
		a.Log(al.h.loop, &info)
	}
}
