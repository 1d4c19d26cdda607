package listener

import (
	"slices"
	"time"

	"github.com/weirproxy/weir/proxy/listener/match"
	"github.com/weirproxy/weir/proxy/matcher/tree"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/stats"
)

// Listener is one compiled listener configuration.
type Listener struct {
	config // the protos, for main only

	name        string
	bindings    []*bound
	was         []network.Address // the addresses of the sockets that were let go
	bind        bool              // bind_to_port
	direction   Direction
	statPrefix  string
	modifyOnly  bool // drain_type MODIFY_ONLY
	originalDst bool // use_original_dst

	filters           []conditionalFilter
	filtersTimeout    time.Duration // 0: none
	continueOnTimeout bool
	bufferLimit       uint32 // bytes; 0: none
	perEvent          int    // connections accepted in one go
	ignoreGlobalLimit bool
	bypassOverload    bool
	limitKey          string // runtime key of the connection limit
	balancer          *balancer
	accessLogs        []AccessLog

	udp      *udpListener // nil for one that accepts connections
	internal bool         // takes connections of the process's own only

	table        *match.Table
	matcher      *tree.Tree[string] // instead of table: it names chains
	byName       map[string]*Chain
	chains       []*Chain
	defaultChain *Chain
	held         []*Chain // those and the one that an error left half made
	closers      []func()

	stats        *stats.Group[Stats]
	handlerStats []*stats.Group[HandlerStats] // by worker

	open  *limit // connections, over all workers
	drain *drain
	warm  *warming

	halted bool // Stop was called; for main
}

// Name is the listener's name.
func (l *Listener) Name() string { return l.name }

// Addresses are where the listener listens, with the ports that the kernel
// chose.
func (l *Listener) Addresses() []network.Address {
	if l.internal {
		return []network.Address{network.InternalAddress(l.name, "")}
	}
	out := slices.Clone(l.was)
	for _, b := range l.bindings {
		out = append(out, b.addr)
	}
	return out
}

// takesIPv4 tells whether an IPv6 wildcard listener is one for IPv4 too.
func (l *Listener) takesIPv4() bool {
	for _, b := range l.bindings {
		if b.addr.Addr().Is6() && !b.options.V6Only {
			return true
		}
	}
	return false
}

// hold keeps a chain, new or taken over from the listener before, until close.
func (l *Listener) hold(c *Chain) {
	c.holders++
	l.held = append(l.held, c)
}

// close ends what the listener and its chains have at the server: statistics,
// subscriptions. Connections that still drain are not touched.
func (l *Listener) close() {
	for _, c := range l.held {
		if c.holders--; c.holders == 0 {
			runAll(c.closers)
		}
	}
	runAll(l.closers)
	l.held, l.closers = nil, nil
	l.closeStats()
}

func runAll(fs []func()) {
	for _, f := range fs {
		f()
	}
}

func (l *Listener) closeStats() {
	if l.stats != nil {
		l.stats.Close()
	}
	if l.udp != nil && l.udp.stats != nil {
		l.udp.stats.Close()
	}
	for _, g := range l.handlerStats {
		g.Close()
	}
}

// Direction says what a listener is for (core.v3.TrafficDirection).
type Direction uint8

const (
	Unspecified Direction = iota
	Inbound
	Outbound
)

// Chain is one compiled filter chain.
type Chain struct {
	name      string
	filters   []network.FilterFactory
	transport TransportFactory // nil: plain
	// clientFirst says that nothing is said before the client has.
	clientFirst bool
	// connectTimeout bounds the transport socket's handshake; 0: nothing does.
	connectTimeout time.Duration
	drain          *drain
	holders        int      // listeners that have the chain; for main
	closers        []func() // run when there is none
	on             []place  // by worker; each writes its own
}

// TransportFactory makes the transport socket of a new connection on a
// worker's loop.
type TransportFactory func(*network.Loop) network.TransportSocket

// conditionalFilter is a listener filter with its filter_disabled.
type conditionalFilter struct {
	Filter
	disabled predicate // nil: never
}

type predicate func(*Socket) bool

// find picks the chain for a socket whose filters have run; nil when none
// takes it.
func (l *Listener) find(s *Socket) *Chain {
	if s.partner > 0 {
		return l.chainOf(s.chain)
	}
	if l.matcher != nil {
		var d tree.Data
		d.SetSocket(s.Local, s.Remote, s.info)
		if d.TransportProtocol == "" {
			d.TransportProtocol = "raw_buffer"
		}
		if name, r := l.matcher.Match(&d); r == tree.Matched {
			return l.byName[name]
		}
		return l.defaultChain
	}
	in := match.Input{
		Destination:       s.Local.AddrPort,
		DirectSource:      s.directRemote.Addr(),
		Source:            s.Remote.AddrPort,
		TransportProtocol: "raw_buffer",
	}
	if i := s.info; i != nil {
		in.ServerName, in.ApplicationProtocols = i.ServerName, i.ALPN
		if i.TransportProtocol != "" {
			in.TransportProtocol = i.TransportProtocol
		}
	}
	if i := l.table.Find(&in); i >= 0 {
		return l.chains[i]
	}
	return l.defaultChain
}

// has tells whether c is one of the listener's chains.
func (l *Listener) has(c *Chain) bool {
	for _, x := range l.chains {
		if x == c {
			return true
		}
	}
	return l.defaultChain == c
}
