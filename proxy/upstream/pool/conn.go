package pool

import (
	"errors"
	"time"

	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/upstream/cluster"
)

// link is what every pooled connection has: it dials, and keeps the
// connection statistics from the first SYN to the close.
type link struct {
	o    *Owner
	host *cluster.Host
	hs   *cluster.HostStats
	brk  cluster.Breakers
	asks *cluster.TransportOptions // may be nil
	// fallback are the application protocols to ask for if the cluster's
	// configuration names none.
	fallback string
	conn     *network.Connection // while it is being made, one of the attempts
	race     *race               // over several addresses; nil otherwise
	begun    time.Duration
	timeout  bool // closed because connecting took too long
	up       bool // the connection stood
}

// errShed is that no connection is made because the proxy is overloaded.
var errShed = errors.New("overloaded")

// shed is errShed when connections are refused at present, else nil.
func (o *Owner) shed() error {
	if o.Sheds != nil && o.Sheds() {
		return errShed
	}
	return nil
}

// failureOf is what a request is told for which no connection could be begun.
func failureOf(err error) (FailureReason, string) {
	if err == errShed {
		return Overflow, ""
	}
	return LocalConnectionFailure, err.Error()
}

// mayConnect tells whether circuit breakers let another connection be made.
// When the pool has none, one is let through all the same, so that its
// requests don't wait for ever behind connections of other hosts.
func (l *link) mayConnect(poolIsEmpty bool) bool {
	full := !l.brk.CanCreate(cluster.Connections)
	if most := l.brk.PerHostMax; most > 0 && uint32(l.host.Conns.Load()) >= most {
		full = true
	}
	if full {
		l.o.Stats.UpstreamCxOverflow.Inc()
	}
	return !full || poolIsEmpty
}

// dial starts the connection; cb is told of its end.
func (l *link) dial(key uint32, cb network.ConnectionCallbacks, halfClose bool) error {
	var err error
	if all := l.host.Addresses(); len(all) > 1 {
		start := func(addr network.Address, cb network.ConnectionCallbacks) (*network.Connection, error) {
			return l.dialAddress(key, addr, cb, halfClose)
		}
		l.race = &race{l: l, start: start, user: cb, left: all}
		err = l.race.run(l.o.Loop)
	} else {
		l.conn, err = l.dialAddress(key, l.host.Current(), cb, halfClose)
	}
	if err != nil {
		l.countUnmade()
		return err
	}
	l.countMade()
	return nil
}

// resume is dial for a connection that stands, to a host of a cluster without
// a transport socket.
func (l *link) resume(fd int, cb network.ConnectionCallbacks, halfClose bool) error {
	var err error
	if l.conn, err = network.Resume(l.o.Loop, fd, cb, l.options(halfClose)); err != nil {
		l.countUnmade()
		return err
	}
	l.countMade()
	return nil
}

func (l *link) countMade() {
	o, info := l.o, l.o.Info
	l.begun = o.Loop.Now()
	l.brk.Inc(cluster.Connections)
	l.host.Conns.Add(1)
	if !info.Used.Load() {
		info.Used.Store(true)
	}
	o.Stats.UpstreamCxTotal.Inc()
	o.Stats.UpstreamCxActive.Inc()
	l.hs.CxTotal++
	l.hs.CxActive.Inc()
}

// countUnmade counts a connection that could not even be begun, as for want of
// the address to bind it to, as one that was and failed.
func (l *link) countUnmade() {
	s := l.o.Stats
	s.UpstreamCxTotal.Inc()
	s.UpstreamCxConnectFail.Inc()
	s.UpstreamCxDestroy.Inc()
	s.UpstreamCxDestroyLocal.Inc()
	l.hs.CxTotal++
	l.hs.CxConnectFail++
}

func (l *link) dialAddress(key uint32, addr network.Address, cb network.ConnectionCallbacks, halfClose bool) (*network.Connection, error) {
	o, info := l.o, l.o.Info
	bind, sockopts := info.Socket.BindFor(addr), info.Socket.Sockopts()
	if l.asks != nil && l.asks.From.IsValid() {
		bind, sockopts = l.asks.From.Bind(), append(l.asks.From.Sockopts(), sockopts...)
	}
	options := l.options(halfClose)
	if info.Transport != nil {
		if _, internal := addr.Internal(); internal {
			options.Brings = cluster.Brings(info.Transport, o.Loop, l.host, l.asks.With(l.fallback))
		}
		options.Transport = info.Transport.Socket(o.Loop, l.host, l.asks.With(l.fallback))
	}
	conn, err := o.Dialer.Dial(o.Loop, key, addr, bind, sockopts, cb, options)
	if err != nil && bind.IsSet() {
		o.Stats.BindErrors.Inc()
	}
	return conn, err
}

// options are those of every connection.
func (l *link) options(halfClose bool) network.Options {
	o := l.o
	o.nextID++
	return network.Options{
		BufferLimit: o.Info.BufferLimit,
		Counters:    &network.ByteCounters{Rx: (*uint64)(&o.Stats.UpstreamCxRxBytesTotal), Tx: (*uint64)(&o.Stats.UpstreamCxTxBytesTotal)},
		HalfClose:   halfClose,
		ID:          uint64(o.Loop.Worker)<<48 | o.nextID,
	}
}

// hangUp closes the connection, or gives up making it: cb of dial is told of a
// local close.
func (l *link) hangUp(how network.CloseType) {
	if r := l.race; r != nil {
		user := r.user
		r.stop()
		user.OnEvent(network.LocalClose)
		return
	}
	l.conn.Close(how)
}

// connected is to be called when the connection stands.
func (l *link) connected() {
	l.up = true
	if len(l.o.Info.Filters) > 0 {
		l.conn.EnsureInfo().FilterState = map[string]any{} // for what they find out
	}
	l.o.Stats.UpstreamCxConnectMs.Record(uint64((l.o.Loop.Now() - l.begun) / time.Millisecond))
}

// closed is to be called once for each connection that was dialed.
func (l *link) closed(ev network.ConnectionEvent, busy bool) {
	s := l.o.Stats
	l.brk.Dec(cluster.Connections)
	l.host.Conns.Add(-1)
	s.UpstreamCxActive.Dec()
	l.hs.CxActive.Dec()
	s.UpstreamCxDestroy.Inc()
	if ev == network.RemoteClose {
		s.UpstreamCxDestroyRemote.Inc()
	} else {
		s.UpstreamCxDestroyLocal.Inc()
	}
	if busy {
		l.closedBusy(ev)
	}
	s.UpstreamCxLengthMs.Record(uint64((l.o.Loop.Now() - l.begun) / time.Millisecond))
	if !l.up {
		s.UpstreamCxConnectFail.Inc()
		l.hs.CxConnectFail++
	}
}

// closedBusy counts that the close ended a request.
func (l *link) closedBusy(ev network.ConnectionEvent) {
	s := l.o.Stats
	s.UpstreamCxDestroyActive.Inc()
	if ev == network.RemoteClose {
		s.UpstreamCxDestroyRemoteActive.Inc()
	} else {
		s.UpstreamCxDestroyLocalActive.Inc()
	}
}

// failure is why a connection that never stood failed.
func (l *link) failure(ev network.ConnectionEvent) FailureReason {
	switch {
	case l.timeout:
		return Timeout
	case ev == network.LocalClose:
		return LocalConnectionFailure
	}
	return RemoteConnectionFailure
}

// began and ended count a request or a TCP connection in use.
func (l *link) began() {
	l.o.Stats.UpstreamRqTotal.Inc()
	l.o.Stats.UpstreamRqActive.Inc()
	l.hs.RqTotal++
	l.hs.RqActive.Inc()
	if l.o.Info.ShareActive {
		l.host.Active.Add(1)
	}
}

func (l *link) ended() {
	l.o.Stats.UpstreamRqActive.Dec()
	l.hs.RqActive.Dec()
	if l.o.Info.ShareActive {
		l.host.Active.Add(-1)
	}
}
