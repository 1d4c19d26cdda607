package udpproxy

import (
	"net/netip"
	"time"

	"github.com/weirproxy/weir/proxy/event"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/streaminfo"
	"github.com/weirproxy/weir/proxy/upstream/cluster"
)

// session is what one client has to do with one host.
type session struct {
	f         *filter
	key       key
	to        *target
	host      *cluster.Host        // nil when a circuit breaker was open
	hosts     *cluster.PrioritySet // of the cluster, when host was last seen among them
	sock      network.UDPSocket
	local     network.Address // sock's, once it is connected
	connected bool
	closed    bool
	flags     streaminfo.Flags
	opened    time.Duration
	counts    counts
	idle      event.Timer
	periodic  *event.Timer // logs the session while it lives; may be nil
}

func (f *filter) newSession(k key, to *target) *session {
	f.stats.Total.Inc()
	f.sessionN++
	return &session{f: f, key: k, to: to, opened: f.loop.Now()}
}

// overflow is a session that the circuit breaker refuses.
func (f *filter) overflow(k key, to *target) {
	to.Stats().UpstreamCxOverflow.Inc()
	s := f.newSession(k, to)
	s.flags |= streaminfo.UpstreamOverflow
	s.log(streaminfo.LogUDPSessionEnd)
}

// openTo makes a session with a host, nil when there is no socket to be had.
func (f *filter) openTo(k key, to *target, host *cluster.Host) *session {
	sock, err := network.OpenUDP(host.Current(), f.maxSize, f.gro, to.Info().Socket.Sockopts())
	if err == nil && f.originalSource {
		if err = sock.SetTransparent(); err != nil {
			sock.Close()
		}
	}
	if err != nil {
		to.stats.TxErrors.Inc()
		return nil
	}
	s := f.newSession(k, to)
	s.sock, s.host, s.hosts = sock, host, to.Hosts()
	if err := f.loop.Add(sock.FD, s); err != nil {
		sock.Close()
		return nil
	}
	f.sessions[k] = s
	f.stats.Active.Inc()
	to.Breakers(cluster.Default).Inc(cluster.Connections)
	f.loop.InitTimer(&s.idle, s.idled)
	s.idle.Enable(f.idle)
	if f.logEvery > 0 {
		s.periodic = f.loop.NewTimer(s.logPeriodically)
		s.periodic.Enable(f.logEvery)
	}
	return s
}

// valid tells whether the session's cluster and host are still there.
func (s *session) valid() bool {
	if s.f.find(s.f.loop, s.to.Info().Name) != s.to.Cluster {
		return false
	}
	hosts := s.to.Hosts()
	if hosts == s.hosts {
		return true
	}
	for h := range hosts.All {
		if h == s.host {
			s.hosts = hosts
			return true
		}
	}
	return false
}

// forward sends datagrams of the client to the host.
func (s *session) forward(data [][]byte) {
	s.idle.Enable(s.f.idle)
	for _, d := range data {
		s.counts.rxBytes += uint64(len(d))
		s.f.counts.rxBytes += uint64(len(d))
		s.f.stats.RxBytes.Add(uint64(len(d)))
	}
	n := uint64(len(data))
	s.counts.rxDatagrams += n
	s.f.counts.rxDatagrams += n
	s.f.stats.RxDatagrams.Add(n)
	sent, size := s.send(data)
	s.to.stats.TxDatagrams.Add(uint64(sent))
	s.to.stats.TxErrors.Add(n - uint64(sent))
	s.to.Stats().UpstreamCxTxBytesTotal.Add(uint64(size))
}

func (s *session) send(data [][]byte) (sent, size int) {
	datagrams := &s.f.loop.Datagrams
	if s.f.originalSource {
		sent, size, _ = datagrams.Send(&s.sock, data, s.host.Current().AddrPort, s.key.peer.Addr())
		return sent, size
	}
	if !s.connected {
		if s.sock.Connect(s.host.Current()) != nil {
			return 0, 0
		}
		s.connected = true
		s.local, _ = network.LocalName(s.sock.FD)
	}
	sent, size, _ = datagrams.Send(&s.sock, data, netip.AddrPort{}, netip.Addr{})
	return sent, size
}

// batchesPerEvent bounds the answers taken in one go.
const batchesPerEvent = 8

// OnReady implements event.Handler: the host has answered.
func (s *session) OnReady(ev event.Events) {
	if ev.Readable() {
		s.receive()
	}
}

func (s *session) receive() {
	if s.closed {
		return
	}
	s.idle.Enable(s.f.idle)
	for range batchesPerEvent {
		got, dropped, more, errno := s.f.loop.Datagrams.Receive(&s.sock)
		s.to.stats.RxDropped.Add(uint64(dropped))
		if errno != 0 {
			// An ICMP error of an earlier datagram, for one.
			s.to.stats.RxErrors.Inc()
			continue
		}
		s.answer(got)
		if !more {
			return
		}
	}
	// The rest is taken in the next turn: the socket is watched edge-triggered.
	s.f.loop.Post(s.receive)
}

// answer passes answers on to the client.
func (s *session) answer(got []network.Datagram) {
	f := s.f
	var size uint64
	answers := f.answers[:0]
	for i := range got {
		answers = append(answers, got[i].Data)
		size += uint64(len(got[i].Data))
	}
	f.answers = answers
	n := uint64(len(got))
	s.to.stats.RxDatagrams.Add(n)
	s.to.Stats().UpstreamCxRxBytesTotal.Add(size)
	sent, sentSize := f.sock.Send(answers, s.key.peer, s.key.local.Addr())
	clear(answers)
	failed := n - uint64(sent)
	f.stats.TxBytes.Add(uint64(sentSize))
	f.stats.TxDatagrams.Add(uint64(sent))
	f.stats.TxErrors.Add(failed)
	for _, c := range []*counts{&s.counts, &f.counts} {
		c.txBytes += uint64(sentSize)
		c.txDatagrams += uint64(sent)
		c.txErrors += failed
	}
}

func (s *session) idled() {
	s.f.stats.IdleTimeout.Inc()
	s.f.idled++
	s.close()
}

// close ends the session.
func (s *session) close() {
	if s.closed {
		return
	}
	s.closed = true
	f := s.f
	if f.run == s {
		f.Flush()
	}
	delete(f.sessions, s.key)
	s.idle.Release()
	if s.periodic != nil {
		s.periodic.Release()
	}
	if !s.local.IsSet() {
		s.local, _ = network.LocalName(s.sock.FD)
	}
	f.loop.Forget(s.sock.FD)
	s.sock.Close()
	s.to.Breakers(cluster.Default).Dec(cluster.Connections)
	f.stats.Active.Dec()
	s.log(streaminfo.LogUDPSessionEnd)
}
