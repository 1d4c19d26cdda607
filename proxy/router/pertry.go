package router

import (
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/streaminfo"
)

// requestComplete starts the try's own timeout.
func (u *upstreamRequest) requestComplete() {
	if u.enc != nil && !u.started {
		u.startPerTry()
	}
}

func (u *upstreamRequest) startPerTry() {
	if t := u.f.timeouts.perTry; t > 0 && !u.perTry.Enabled() {
		u.perTry.Enable(t)
	}
}

func (u *upstreamRequest) onPerTryTimeout() {
	f := u.f
	if !u.active || u.started || f.done {
		return
	}
	if f.hedge {
		f.hedgeRetry(u)
		return
	}
	f.cluster.Stats().UpstreamRqPerTryTimeout.Inc()
	u.tookTooLong("upstream_per_try_timeout")
}

func (u *upstreamRequest) onPerTryIdle() {
	f := u.f
	if !u.active || f.done {
		return
	}
	f.cluster.Stats().UpstreamRqPerTryIdleTimeout.Inc()
	u.tookTooLong("upstream_per_try_idle_timeout")
}

// tookTooLong gives the try up and tries again, or answers 504.
func (u *upstreamRequest) tookTooLong(details string) {
	f := u.f
	if u.host != nil {
		u.host.Stats(f.cb.Worker()).RqTimeout++
		u.host.Monitor().TimedOut(f.cb.Worker(), f.timeouts.code)
	}
	u.log.failed(streaminfo.UpstreamRequestTimeout, "")
	u.cancel()
	if f.retryAfterReset(u, http.LocalReset, true, true) {
		return
	}
	f.timedOut(details)
}

// startMaxDuration bounds the try by the cluster's max_stream_duration.
func (u *upstreamRequest) startMaxDuration() {
	if most := u.f.cluster.Info().MaxStreamDuration; most > 0 {
		u.life.Enable(most)
	}
}

func (u *upstreamRequest) onMaxDuration() {
	f := u.f
	if !u.active || f.done {
		return
	}
	f.cluster.Stats().UpstreamRqMaxDuration.Inc()
	u.cancel()
	if f.retryAfterReset(u, http.LocalReset, true, false) {
		return
	}
	code := 408 // the client has not sent everything yet
	if f.requestEnd {
		code = 504
	}
	f.abort(code, streaminfo.UpstreamMaxStreamDurationReached, "upstream max stream duration reached", false, "upstream_max_stream_duration_reached")
}

func (u *upstreamRequest) disarm() {
	u.perTry.Disable()
	u.idle.Disable()
	u.life.Disable()
}

// touch starts per_try_idle_timeout anew.
func (u *upstreamRequest) touch() {
	if t := u.f.timeouts.perTryIdle; t > 0 && u.active {
		u.idle.Enable(t)
	}
}
