package tcpproxy

import (
	"math/rand/v2"
	"time"

	"github.com/weirproxy/weir/proxy/event"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/overload"
	"github.com/weirproxy/weir/proxy/streaminfo"
	"github.com/weirproxy/weir/proxy/upstream/cluster"
	"github.com/weirproxy/weir/proxy/upstream/pool"
)

// Envoy's numbers, and its spelling, for why no host was reached.
const (
	connectFailed    = "tcp_initializion_failure:0"
	noHealthyHost    = "tcp_initializion_failure:1"
	limitExceeded    = "tcp_initializion_failure:2"
	noRouteToCluster = "tcp_initializion_failure:3"
)

// connect makes the next attempt to reach a host.
func (p *proxy) connect() {
	p.begun = true
	if p.s.overload.Sheds(overload.TCPProxyConnect) {
		p.shed()
		return
	}
	if p.cluster = p.s.find(p.down.Loop(), p.target.name); p.cluster == nil {
		p.stats.CxNoRoute.Inc()
		p.fail(streaminfo.NoClusterFound, noRouteToCluster)
		return
	}
	if i := p.down.Info; i != nil {
		i.Cluster = p.cluster.Info().Name
	}
	st := p.cluster.Stats()
	if !p.cluster.Breakers(cluster.Default).CanCreate(cluster.Connections) {
		// The attempts before, if any, are not told of.
		p.host = nil
		st.UpstreamCxOverflow.Inc()
		p.fail(streaminfo.UpstreamOverflow, limitExceeded)
		return
	}
	if p.attempts >= p.s.attempts {
		st.UpstreamCxAttemptsExceed.Inc()
		p.fail(streaminfo.UpstreamRetryLimitExceeded, connectFailed)
		return
	}
	if i := p.down.Info; i != nil {
		i.Cluster = p.cluster.Info().Name
	}
	if p.host = p.cluster.ChooseHost(p); p.host == nil {
		p.fail(streaminfo.NoHealthyUpstream, noHealthyHost)
		return
	}
	p.attempts++
	if p.s.tunnel != nil && !p.tunnelOff() {
		newTunnel(p).start()
		return
	}
	// A failure at once has called back already, and may have tried again.
	if c := p.cluster.TCPConnect(p.host, cluster.Default, p.down, (*upSide)(p)); c != nil {
		p.pending = c
	}
}

// resume goes on with the upstream connection that the proxy before this one
// had made.
func (p *proxy) resume() {
	p.begun, p.attempts = true, p.s.attempts
	fd := p.down.Info.Partner
	p.down.Info.Partner = 0
	if p.cluster = p.s.find(p.down.Loop(), p.target.name); p.cluster == nil || p.s.tunnel != nil {
		network.CloseFD(fd)
		p.fail(streaminfo.NoClusterFound, noRouteToCluster)
		return
	}
	p.down.Info.Cluster = p.cluster.Info().Name
	if p.pending = p.cluster.TCPResume(fd, p, cluster.Default, (*upSide)(p)); p.pending == nil && !p.over {
		p.fail(streaminfo.NoHealthyUpstream, noHealthyHost)
	}
}

// attemptFailed tries again, now or after a while, or gives up.
func (p *proxy) attemptFailed(reason pool.FailureReason, transportFailure string, h *cluster.Host) {
	p.pending, p.host, p.failure = nil, h, transportFailure
	worker := p.down.Loop().Worker
	switch reason {
	case pool.Overflow:
		p.flags |= streaminfo.UpstreamOverflow
	case pool.RemoteConnectionFailure:
		p.flags |= streaminfo.UpstreamConnectionFailure
		h.Monitor().Failed(worker)
	case pool.Timeout:
		p.flags |= streaminfo.UpstreamConnectionFailure
		h.Monitor().TimedOut(worker, 504)
	}
	if p.attempts < p.s.attempts {
		p.pick()
		if p.s.backoff.base > 0 {
			p.connectLater()
			return
		}
	}
	p.connect()
}

// backoff is how long to wait between attempts: a random time below a bound
// that doubles.
type backoff struct{ base, most time.Duration }

type retry struct {
	timer *event.Timer
	step  time.Duration
}

func (p *proxy) connectLater() {
	if p.retry == nil {
		p.retry = &retry{timer: p.down.Loop().NewTimer(p.connect), step: p.s.backoff.base}
	}
	p.retry.timer.Enable(time.Duration(rand.Int64N(int64(p.retry.step))))
	p.retry.step = min(2*p.retry.step, p.s.backoff.most)
}

// abandoned is the flag of a connection whose client does not wait for an
// upstream.
func (p *proxy) abandoned() streaminfo.Flags {
	if t, ok := p.pending.(*tunnel); ok && t.enc != nil {
		return streaminfo.UpstreamConnectionFailure // Envoy's, once the request is out
	}
	return streaminfo.DownstreamConnectionTermination
}
