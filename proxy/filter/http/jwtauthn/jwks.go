package jwtauthn

import (
	"time"

	"github.com/weirproxy/weir/proxy/event"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/upstream/async"
)

// remoteKeys is a RemoteJwks compiled.
type remoteKeys struct {
	cluster, host, path string
	timeout             time.Duration
	retry               *async.Retry
	keep                time.Duration // how long fetched keys are used
	ahead               bool          // fetched before they are asked for
	hold                bool          // the listener waits for the first fetch
	again               time.Duration // until another try when fetching ahead failed
}

// keyCache is a provider's keys on one worker.
type keyCache struct {
	f       *factory
	r       *remoteKeys
	client  async.Client
	stats   *Stats
	keys    *keySet
	expires time.Duration // by the worker's clock
	waiting []*keyWait
	call    *async.Request
	refresh event.Timer
	tried   func() // to be called when the first fetch has ended; may be nil
}

// keyWait is a check that waits for keys; nil done: it was given up.
type keyWait struct{ done func(*keySet, status) }

// get gives the keys, now or once they are fetched.
func (c *keyCache) get(done func(*keySet, status)) *keyWait {
	if c.keys != nil && c.client.Loop().Now() < c.expires {
		done(c.keys, ok)
		return nil
	}
	w := &keyWait{done}
	c.waiting = append(c.waiting, w)
	if c.call == nil {
		c.fetch()
	}
	return w
}

// fetch asks for the keys, for all who wait.
func (c *keyCache) fetch() {
	c.call = c.client.Send(c.r.cluster, async.Options{Timeout: c.r.timeout, Retry: c.r.retry}, func(h *http.HeaderMap) {
		h.Add(http.Method, "GET")
		h.Add(http.Path, c.r.path)
		h.Add(http.Authority, c.r.host)
		h.AddName("user-agent", userAgent)
		if c.f.forwardedFor != "" {
			h.Add(http.XForwardedFor, c.f.forwardedFor)
		}
	}, nil, c.fetched)
	if c.call == nil { // there is no such cluster
		c.fail()
	}
}

// userAgent is what Envoy calls itself when it fetches keys.
const userAgent = "Go-browser"

func (c *keyCache) fetched(r *async.Response) {
	c.call = nil
	if r.Local || r.Status != 200 {
		c.fail()
		return
	}
	keys, err := parseKeys(r.Body)
	if err != nil {
		c.fail()
		return
	}
	c.stats.JwksFetchSuccess.Inc()
	c.keys, c.expires = keys, c.client.Loop().Now()+c.r.keep
	c.later(max(c.r.keep-refetchBefore, time.Second))
	c.answer(keys, ok)
}

// refetchBefore is how long before its end a key set fetched ahead is fetched
// anew.
const refetchBefore = 5 * time.Second

func (c *keyCache) fail() {
	c.stats.JwksFetchFailed.Inc()
	c.later(c.r.again)
	c.answer(nil, fetchFails)
}

// later fetches again after a while, if keys are fetched ahead.
func (c *keyCache) later(after time.Duration) {
	if c.tried != nil {
		c.tried()
		c.tried = nil
	}
	if c.r.ahead && !c.f.closed.Load() {
		c.refresh.Enable(after)
	}
}

// whenTried calls f when the first fetch has ended, which has begun.
func (c *keyCache) whenTried(f func()) {
	if c.call == nil {
		f()
		return
	}
	c.tried = f
}

func (c *keyCache) onRefresh() {
	if c.call == nil && !c.f.closed.Load() {
		c.fetch()
	}
}

func (c *keyCache) answer(keys *keySet, s status) {
	waiting := c.waiting
	c.waiting = nil
	for _, w := range waiting {
		if w.done != nil {
			w.done(keys, s)
		}
	}
}
