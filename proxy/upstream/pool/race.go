package pool

import (
	"slices"
	"time"

	"github.com/weirproxy/weir/proxy/event"
	"github.com/weirproxy/weir/proxy/network"
)

// raceDelay is how long an attempt is the only one: RFC 8305 section 5 wants
// 100 ms to 2 s, Envoy has this.
const raceDelay = 300 * time.Millisecond

// race connects to the addresses of a host that has several (Happy Eyeballs):
// one after the other, the next as soon as the one before has failed or taken
// long. The first connection that stands is the link's, the others are closed.
// The link's user sees one connection.
type race struct {
	l     *link
	start func(network.Address, network.ConnectionCallbacks) (*network.Connection, error)
	user  network.ConnectionCallbacks
	left  []network.Address
	tries []*racer
	next  event.Timer
}

// racer is one attempt. The winner passes all events on.
type racer struct {
	r    *race // nil: it has won
	user network.ConnectionCallbacks
	conn *network.Connection
}

// run starts the first attempt that can be started.
func (r *race) run(loop *network.Loop) error {
	loop.InitTimer(&r.next, r.attempt)
	err := r.try()
	for err != nil && len(r.left) > 0 {
		err = r.try()
	}
	return err
}

// attempt is run when the latest attempt has failed or takes long.
func (r *race) attempt() {
	for len(r.left) > 0 && r.try() != nil {
	}
}

func (r *race) try() error {
	to := r.left[0]
	r.left = r.left[1:]
	t := &racer{r: r, user: r.user}
	conn, err := r.start(to, t)
	if err != nil {
		return err
	}
	t.conn = conn
	r.tries = append(r.tries, t)
	if r.l.conn == nil {
		r.l.conn = conn
	} else {
		r.l.o.Stats.UpstreamCxTotal.Inc() // which counts attempts, in Envoy too
	}
	if len(r.left) > 0 {
		r.next.Enable(raceDelay)
	}
	return nil
}

// OnEvent implements network.ConnectionCallbacks.
func (t *racer) OnEvent(ev network.ConnectionEvent) {
	r := t.r
	switch {
	case r == nil:
		t.user.OnEvent(ev)
	case ev == network.Connected:
		t.r, r.l.conn = nil, t.conn
		r.stop()
		t.user.OnEvent(ev)
	default:
		r.failed(t, ev)
	}
}

// failed goes on to the next address, or ends the race with the last attempt.
func (r *race) failed(t *racer, ev network.ConnectionEvent) {
	r.tries = slices.DeleteFunc(r.tries, func(x *racer) bool { return x == t })
	r.next.Disable()
	r.attempt()
	if len(r.tries) > 0 {
		return
	}
	r.l.conn = t.conn
	r.stop()
	t.user.OnEvent(ev)
}

// stop ends all attempts but the winner's, without a word to the user.
func (r *race) stop() {
	r.l.race = nil
	r.next.Release()
	tries := r.tries
	r.tries, r.left = nil, nil
	for _, t := range tries {
		if t.r != nil {
			t.user = silent{}
			t.r = nil
			t.conn.Close(network.NoFlush)
		}
	}
}

// OnAboveWriteBufferHighWatermark implements network.ConnectionCallbacks.
func (t *racer) OnAboveWriteBufferHighWatermark() { t.user.OnAboveWriteBufferHighWatermark() }

// OnBelowWriteBufferLowWatermark implements network.ConnectionCallbacks.
func (t *racer) OnBelowWriteBufferLowWatermark() { t.user.OnBelowWriteBufferLowWatermark() }

// silent is the user of an attempt that has lost.
type silent struct{ network.NoWatermarks }

func (silent) OnEvent(network.ConnectionEvent) {}
