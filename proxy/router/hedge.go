package router

import "github.com/weirproxy/weir/proxy/http"

// hedges tells whether a try that reaches its timeout goes on while another
// is made.
func (f *filter) hedges(h *http.HeaderMap) bool {
	on := f.action.Hedge != nil && f.action.Hedge.OnPerTryTimeout
	if h.Has(http.XEnvoyHedgeOnPerTryTimeout) {
		on = h.Get(http.XEnvoyHedgeOnPerTryTimeout) == "true"
	}
	if on {
		// The tries' answers must not share the one map of the response.
		f.first.compete()
	}
	return on
}

// compete gives the try a header map of its own.
func (u *upstreamRequest) compete() {
	if u.own == nil {
		u.own = &http.HeaderMap{}
	}
}

// hedgeRetry starts another try besides one that reached its timeout.
func (f *filter) hedgeRetry(u *upstreamRequest) {
	if f.retry == nil || f.responseStarted || u.hedged {
		return
	}
	if f.retryOn(f.retry.grant(true), true) {
		u.hedged = true
	}
}

// win gives up the tries that compete with u.
func (f *filter) win(u *upstreamRequest) {
	if !f.hedge {
		return
	}
	f.attempt, f.host = u, u.host
	for _, o := range f.tries {
		if o != u {
			o.cancel()
		}
	}
	info := f.cb.StreamInfo()
	info.UpstreamHost, info.UpstreamHostname = u.host.Current(), u.host.Hostname
}
