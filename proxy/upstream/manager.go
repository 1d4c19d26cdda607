package upstream

import (
	"log/slog"
	"net/netip"
	"time"

	"github.com/weirproxy/weir/proxy/matcher"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/stats"
	"github.com/weirproxy/weir/proxy/upstream/cluster"
	"github.com/weirproxy/weir/proxy/upstream/dns"
	"github.com/weirproxy/weir/proxy/upstream/dnscache"
	"github.com/weirproxy/weir/proxy/upstream/eventlog"
	"github.com/weirproxy/weir/proxy/upstream/lb"
	"github.com/weirproxy/weir/proxy/upstream/pool"
)

// Options are what a Manager works with.
type Options struct {
	Main    *network.Loop
	Workers []*network.Loop
	Stats   *stats.Store
	// Dialer makes upstream connections; nil: pool.Direct.
	Dialer pool.Dialer
	// Endpoints subscribes to EDS; nil refuses EDS clusters.
	Endpoints EndpointSubscriber
	// Guard says why an original destination may not be connected to; nil
	// lets all pass.
	Guard DestinationGuard
	// Transports are the transport sockets that clusters can use, by the
	// type URL of their configuration.
	Transports map[string]TransportFactory
	// NetworkFilters are the network filters that clusters can use, likewise.
	NetworkFilters map[string]NetworkFactory
	HTTPPolicies   PolicyCompiler
	HTTPFilters    FilterCompiler
	// Resolver resolves names; nil: dns.System.
	Resolver dns.Resolver
	// Locality is where the proxy runs (node.locality), nil when it is not
	// told. LocalCluster is the cluster that the proxy itself belongs to
	// (cluster_manager.local_cluster_name), "" for none: zone aware routing
	// compares a cluster with it.
	Locality     *cluster.Locality
	LocalCluster string
	// Runtime is read when a cluster's configuration is taken.
	Runtime cluster.Runtime
	// OutlierLog is the path of cluster_manager.outlier_detection's log, "" for
	// none.
	OutlierLog string
	// ShedsConnection tells workers, under load, that a connection is not to be
	// made; nil: all are.
	ShedsConnection func() bool
	// AsyncRequests is where a worker counts the requests of the proxy's own;
	// nil: nowhere.
	AsyncRequests func(worker int) *stats.Counter
	// Warming is told, from when initialisation is over, whether any cluster
	// warms. It may be told the same again. May be nil.
	Warming func(any bool)
	Log     *slog.Logger
}

// DestinationGuard refuses destinations that a connection must not be
// forwarded to: loopback, the node's own addresses, the proxy's listeners.
// Workers call it.
type DestinationGuard func(to netip.AddrPort) error

// Manager is the cluster manager. All of it belongs to main.
type Manager struct {
	o      Options
	dialer pool.Dialer
	log    *slog.Logger
	owners int // main and the workers
	tables []*Table
	stats  *managerStats

	inflated *tableStats // main's

	bind      cluster.SocketOptions // of clusters without such of their own
	resolving dns.Config            // likewise

	active  map[string]*master // what workers see
	warming map[string]*master // not ready yet, new or to replace an active one

	outliers  *eventlog.Log // opened for the first cluster that needs it
	caches    map[string]*dnscache.Cache
	regexes   *matcher.Regexes
	byService map[string][]*edsDiscovery // EDS clusters by service name

	starting map[*master]struct{} // not warm; initialisation waits for them
	complete bool                 // EndStatic was called
	onReady  []func()
}

// NewManager makes a manager without clusters.
func NewManager(o Options) *Manager {
	m := &Manager{
		regexes: matcher.NewRegexes(), caches: map[string]*dnscache.Cache{},
		o: o, dialer: o.Dialer, log: o.Log, owners: 1 + len(o.Workers),
		active: map[string]*master{}, warming: map[string]*master{}, byService: map[string][]*edsDiscovery{}, starting: map[*master]struct{}{},
	}
	if m.dialer == nil {
		m.dialer = pool.Direct{}
	}
	if m.o.Resolver == nil {
		m.o.Resolver = &dns.System{}
	}
	m.o.Resolver = newCountedResolver(m.o.Resolver, &m.o)
	if m.log == nil {
		m.log = slog.New(slog.DiscardHandler)
	}
	m.stats = stats.NewGroup[managerStats](o.Stats, stats.Scope{Prefix: "cluster_manager."}).For(0)
	m.inflated = stats.NewGroup[tableStats](o.Stats, stats.Scope{Prefix: "thread_local_cluster_manager.main_thread."}).For(0)
	for _, w := range o.Workers {
		m.tables = append(m.tables, &Table{loop: w, m: m, entries: map[string]*entry{}, stats: m.tableStats(w)})
		if o.AsyncRequests != nil {
			m.tables[len(m.tables)-1].async = o.AsyncRequests(w.Worker)
		}
	}
	return m
}

func (m *Manager) tableStats(l *network.Loop) *tableStats {
	return stats.NewGroup[tableStats](m.o.Stats, stats.Scope{Prefix: "thread_local_cluster_manager." + l.Name() + "."}).For(l.Worker)
}

// Table is the table of the worker with the index i in Options.Workers.
func (m *Manager) Table(i int) *Table { return m.tables[i] }

// newest is the cluster's latest configuration, warm or not.
func (m *Manager) newest(name string) *master {
	if c := m.warming[name]; c != nil {
		return c
	}
	return m.active[name]
}

// add starts a cluster's discovery; it becomes active when it is warm.
func (m *Manager) add(cfg *config, version string, static bool) error {
	name := cfg.info.Name
	cfg.info.Store = m.o.Stats
	cfg.info.StatGroup = stats.NewGroup[cluster.Stats](m.o.Stats, cfg.info.StatScope())
	c := &master{m: m, cfg: cfg, static: static, version: version, updated: time.Now(), policy: cfg.policy}
	c.group = stats.NewGroup[endpointStats](m.o.Stats, cfg.info.StatScope())
	c.stats = c.group.For(0)
	before := m.warming[name]
	m.warming[name] = c
	if cfg.waitForWarm && !m.complete {
		m.starting[c] = struct{}{}
	}
	cfg.trackMore()
	c.window.init(cfg.mergeWindow, m.o.Main, m.stats, c.deliver)
	c.discovery = c.newDiscovery()
	c.balancing = c.policy.New(lb.Env{Info: cfg.info, Owners: m.owners, Main: m.o.Main, Changed: c.weighed, Local: m.localHosts()})
	err := c.watchHealth()
	if err == nil {
		err = c.discovery.start()
	}
	if err != nil {
		c.stop()
		if delete(m.warming, name); before != nil {
			m.warming[name] = before
		}
		return err
	}
	if before != nil {
		before.stop()
	}
	m.countClusters()
	return nil
}

// localHosts finds the hosts of the local cluster, nil when there is none.
func (m *Manager) localHosts() func() *cluster.HostSet {
	if m.o.LocalCluster == "" {
		return nil
	}
	return func() *cluster.HostSet {
		if c := m.active[m.o.LocalCluster]; c != nil && c.hosts != nil {
			return c.hosts.Sets[0]
		}
		return nil
	}
}

// localChanged has the other clusters spread their load anew.
func (m *Manager) localChanged() {
	for name, c := range m.active {
		if name != m.o.LocalCluster {
			c.publish(nil, false)
		}
	}
}

// Remove takes a cluster out that xDS had added. It returns false when there
// is none.
func (m *Manager) Remove(name string) bool {
	c := m.newest(name)
	if c == nil || c.static {
		return false
	}
	if w := m.warming[name]; w != nil {
		delete(m.warming, name)
		w.stop()
	}
	if a := m.active[name]; a != nil {
		delete(m.active, name)
		a.stop()
		m.publish(&snapshot{info: a.cfg.info, removed: true})
	}
	m.stats.ClusterRemoved.Inc()
	m.countClusters()
	m.checkReady()
	return true
}

func (m *Manager) countClusters() {
	m.stats.ActiveClusters.Set(int64(len(m.active)))
	m.inflated.Inflated.Set(int64(len(m.active)))
	m.stats.WarmingClusters.Set(int64(len(m.warming)))
	if m.o.Warming != nil && len(m.onReady) == 0 && m.complete {
		m.o.Warming(len(m.warming) > 0)
	}
}

// publish gives the workers a snapshot.
func (m *Manager) publish(s *snapshot) {
	for _, t := range m.tables {
		t.send(s)
	}
}

// EndStatic tells that the clusters to start with have been added: those of
// the bootstrap, and those of the first CDS response if there is CDS.
func (m *Manager) EndStatic() {
	m.complete = true
	m.checkReady()
}

// OnInitialized calls f once, when EndStatic was called and all clusters
// added until then are warm.
func (m *Manager) OnInitialized(f func()) {
	m.onReady = append(m.onReady, f)
	m.checkReady()
}

func (m *Manager) checkReady() {
	for m.complete && len(m.starting) == 0 && len(m.onReady) > 0 {
		f := m.onReady[0]
		m.onReady = m.onReady[1:]
		f()
	}
}

// Waiting are the names of the clusters that initialisation waits for.
func (m *Manager) Waiting() (names []string) {
	for c := range m.starting {
		names = append(names, c.cfg.info.Name)
	}
	return names
}

// Dynamic are the names of the clusters that xDS has added.
func (m *Manager) Dynamic() (names []string) {
	for name, c := range m.active {
		if !c.static {
			names = append(names, name)
		}
	}
	for name, c := range m.warming {
		if m.active[name] == nil && !c.static {
			names = append(names, name)
		}
	}
	return names
}

// Has tells whether there is a cluster of the name, warm or not.
func (m *Manager) Has(name string) bool { return m.newest(name) != nil }

// CloseKey lets go of the connections pooled for one of the Dialer's keys: a
// pod that has gone, whose network namespace they would keep.
func (m *Manager) CloseKey(key uint32) {
	for _, t := range m.tables {
		t.loop.Post(func() {
			for _, e := range t.entries {
				if e.local != nil {
					e.local.closeKey(key)
				}
			}
		})
	}
}

// Close stops all discovery. Workers keep what they have.
func (m *Manager) Close() {
	for _, set := range []map[string]*master{m.active, m.warming} {
		for _, c := range set {
			if !c.stopped {
				c.stop()
			}
		}
	}
	for _, c := range m.caches {
		c.Close()
	}
	if m.outliers != nil {
		m.outliers.Close()
	}
}
