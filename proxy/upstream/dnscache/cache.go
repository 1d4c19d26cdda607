package dnscache

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weirproxy/weir/proxy/event"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/stats"
	"github.com/weirproxy/weir/proxy/upstream/cluster"
	"github.com/weirproxy/weir/proxy/upstream/dns"
)

// Config is a compiled DnsCacheConfig.
type Config struct {
	Name         string
	Family       dns.Family
	Resolver     dns.Config
	Refresh      time.Duration // without a TTL
	MinRefresh   time.Duration // bounds TTLs from below
	FailBase     time.Duration // back-off after failures
	FailMax      time.Duration
	HostTTL      time.Duration // an unused name is forgotten after it
	MaxHosts     int
	MaxPending   int // who wait at once
	QueryTimeout time.Duration
	Preresolve   []Target
}

// Target is a name to resolve from the start.
type Target struct {
	Host string
	Port uint16
}

// Cache is the names of one configuration, shared by all workers.
type Cache struct {
	cfg      Config
	main     *network.Loop
	resolver dns.Resolver
	group    *stats.Group[cacheStats]
	ctx      context.Context
	cancel   context.CancelFunc
	watchers map[Watcher]struct{} // main's
	pending  atomic.Int32

	mu      sync.Mutex
	entries map[string]*Entry
}

// cacheStats are "dns_cache.<name>.".
type cacheStats struct {
	CacheLoad      stats.Counter `stat:"cache_load"` // of a stored cache, which there is none
	QueryAttempt   stats.Counter `stat:"dns_query_attempt"`
	QueryFailure   stats.Counter `stat:"dns_query_failure"`
	QuerySuccess   stats.Counter `stat:"dns_query_success"`
	QueryTimeout   stats.Counter `stat:"dns_query_timeout"`
	PendingFull    stats.Counter `stat:"dns_rq_pending_overflow"`
	HostAdded      stats.Counter `stat:"host_added"`
	AddressChanged stats.Counter `stat:"host_address_changed"`
	HostOverflow   stats.Counter `stat:"host_overflow"`
	HostRemoved    stats.Counter `stat:"host_removed"`
	NumHosts       stats.Gauge   `stat:"num_hosts"`
}

// Watcher is told on main of addresses found and names dropped.
type Watcher interface {
	OnAddress(*Entry)
	OnRemoved(*Entry)
}

// New makes an empty cache.
func New(main *network.Loop, store *stats.Store, r dns.Resolver, cfg Config) *Cache {
	c := &Cache{cfg: cfg, main: main, resolver: r, entries: map[string]*Entry{}, watchers: map[Watcher]struct{}{}}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.group = stats.NewGroup[cacheStats](store, stats.Scope{Prefix: "dns_cache." + cfg.Name + "."})
	c.group.For(0)
	for _, t := range cfg.Preresolve {
		c.load(t.Host, t.Port, nil)
	}
	return c
}

// Config is what the cache was made with.
func (c *Cache) Config() *Config { return &c.cfg }

// Close ends all lookups. Main only.
func (c *Cache) Close() {
	c.cancel()
	c.group.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range c.entries {
		if e.timer != nil {
			e.timer.Release()
		}
	}
}

// Watch tells w of all addresses known and to come, until Unwatch.
func (c *Cache) Watch(w Watcher) {
	c.watchers[w] = struct{}{}
	c.mu.Lock()
	known := make([]*Entry, 0, len(c.entries))
	for _, e := range c.entries {
		if e.addrs.Load() != nil {
			known = append(known, e)
		}
	}
	c.mu.Unlock()
	for _, e := range known {
		w.OnAddress(e)
	}
}

// Unwatch ends Watch.
func (c *Cache) Unwatch(w Watcher) { delete(c.watchers, w) }

// Entry is one name and port.
type Entry struct {
	Key  string // "host:port"
	Host string
	Port uint16

	addrs    atomic.Pointer[[]network.Address]
	used     atomic.Int64 // cluster.Now
	gone     atomic.Bool
	resolved atomic.Bool // there was an answer, be it a failure
	failure  atomic.Pointer[string]

	waiting  []*Wait // guarded by Cache.mu
	timer    *event.Timer
	failures int
}

// Addresses are where the name leads, at least one; nil when it leads nowhere.
func (e *Entry) Addresses() []network.Address {
	if p := e.addrs.Load(); p != nil {
		return *p
	}
	return nil
}

// Failure says why the name leads nowhere.
func (e *Entry) Failure() string {
	if f := e.failure.Load(); f != nil {
		return *f
	}
	return ""
}

// Gone tells that the cache has dropped the entry.
func (e *Entry) Gone() bool { return e.gone.Load() }

// Touch notes that the entry is in use.
func (e *Entry) Touch() { e.used.Store(int64(cluster.Now())) }

// Wait is a wait for an answer.
type Wait struct {
	c    *Cache
	e    *Entry
	loop *network.Loop
	done func(*Entry)
	over bool // loop's
}

// Cancel ends the wait. Only the loop that waits may call it.
func (w *Wait) Cancel() { w.over = true }

// Status is what Load found.
type Status uint8

const (
	Ready    Status = iota // there was an answer
	Loading                // done will be called
	Overflow               // there are too many names
	Pending                // too many wait
)

// Load finds a name's entry. When the first answer is not there yet, done is
// called on the loop once it is, unless the wait is cancelled.
func (c *Cache) Load(host string, port uint16, loop *network.Loop, done func(*Entry)) (*Entry, *Wait, Status) {
	s := c.group.For(loop.Worker)
	if int(c.pending.Load()) >= c.cfg.MaxPending {
		s.PendingFull.Inc()
		return nil, nil, Pending
	}
	w := &Wait{c: c, loop: loop, done: done}
	e, ready := c.load(host, port, w)
	switch {
	case e == nil:
		s.HostOverflow.Inc()
		return nil, nil, Overflow
	case ready:
		return e, nil, Ready
	}
	return e, w, Loading
}

func (c *Cache) load(host string, port uint16, w *Wait) (e *Entry, ready bool) {
	key := Key(host, port)
	c.mu.Lock()
	defer c.mu.Unlock()
	if e = c.entries[key]; e == nil {
		if len(c.entries) >= c.cfg.MaxHosts {
			return nil, false
		}
		e = &Entry{Key: key, Host: strings.Clone(host), Port: port} // the caller's is in a request's memory
		c.entries[key] = e
		c.main.Post(func() { c.begin(e) })
	}
	e.Touch()
	if e.resolved.Load() {
		return e, true
	}
	if w != nil {
		w.e = e
		e.waiting = append(e.waiting, w)
		c.pending.Add(1)
	}
	return e, false
}

// Find is the entry of a key, nil when there is none.
func (c *Cache) Find(key string) *Entry {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.entries[key]
}
