package http2

import (
	"math/rand/v2"
	"time"

	"golang.org/x/net/http2"

	"github.com/weirproxy/weir/proxy/event"
	"github.com/weirproxy/weir/proxy/network"
)

// keepAlive probes a connection by PING and closes it when no answer comes.
type keepAlive struct {
	c       *conn
	timer   event.Timer // until the next PING, or until its answer is late
	pending bool
	active  time.Duration // when a stream was last begun
}

func (c *conn) startKeepAlive() {
	if k := &c.set.KeepAlive; k.Interval == 0 && k.IdleInterval == 0 {
		return
	}
	c.keepAlive = &keepAlive{c: c, active: c.nc.Loop().Now()}
	c.nc.Loop().InitTimer(&c.keepAlive.timer, c.keepAlive.onTimer)
	c.keepAlive.await()
}

// await waits for the next probe.
func (k *keepAlive) await() {
	set := &k.c.set.KeepAlive
	if set.Interval == 0 {
		k.timer.Disable()
		return
	}
	wait := set.Interval
	if j := int64(float64(wait) * set.JitterPercent / 100); j > 0 {
		wait += time.Duration(rand.Int64N(j))
	}
	k.timer.Enable(wait)
}

func (k *keepAlive) onTimer() {
	c := k.c
	if c.phase == phaseDead || !c.nc.Open() {
		return
	}
	if k.pending {
		count(c.set.Counters.KeepaliveTimeout)
		c.phase = phaseDead
		c.nc.CloseBecause(network.NoFlush, "http2_ping_timeout")
		return
	}
	k.probe()
}

func (k *keepAlive) probe() {
	k.pending = true
	k.c.writeControl(http2.FramePing, 0, 0, []byte("weir-ka\x00"))
	k.timer.Enable(k.c.set.KeepAlive.Timeout)
}

// answered takes the answer to a PING.
func (k *keepAlive) answered() {
	if k != nil && k.pending {
		k.pending = false
		k.await()
	}
}

// probeIdle probes a connection that has been silent before a stream begins on
// it.
func (c *conn) probeIdle() {
	k := c.keepAlive
	if k == nil {
		return
	}
	now := c.nc.Loop().Now()
	if d := c.set.KeepAlive.IdleInterval; d > 0 && !k.pending && now-k.active > d {
		k.probe()
	}
	k.active = now
}
