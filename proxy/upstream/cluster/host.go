package cluster

import (
	"cmp"
	"strings"
	"sync/atomic"
	"time"

	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/stats"
	"github.com/weirproxy/weir/proxy/upstream/orca"
)

// Locality is where an endpoint runs (envoy.config.core.v3.Locality).
type Locality struct{ Region, Zone, SubZone string }

// Compare orders localities; nil is the empty one.
func (l *Locality) Compare(o *Locality) int {
	if l == nil {
		l = NoLocality
	}
	if o == nil {
		o = NoLocality
	}
	return cmp.Or(strings.Compare(l.Region, o.Region), strings.Compare(l.Zone, o.Zone), strings.Compare(l.SubZone, o.SubZone))
}

// HealthFlag is a reason not to use a host, as Envoy's /clusters names them.
type HealthFlag uint32

const (
	FailedActiveHC HealthFlag = 1 << iota
	FailedOutlierCheck
	FailedEDSHealth
	DegradedActiveHC
	DegradedEDSHealth
	PendingDynamicRemoval
	PendingActiveHC
	ExcludedViaImmediateHCFail
	ActiveHCTimeout
	EDSStatusDraining
	DegradedOutlierDetection

	unhealthyFlags = FailedActiveHC | FailedOutlierCheck | FailedEDSHealth | EDSStatusDraining
	degradedFlags  = DegradedActiveHC | DegradedEDSHealth | DegradedOutlierDetection
	excludedFlags  = PendingActiveHC | ExcludedViaImmediateHCFail | EDSStatusDraining
)

var healthFlagNames = []string{
	"/failed_active_hc", "/failed_outlier_check", "/failed_eds_health", "/degraded_active_hc", "/degraded_eds_health",
	"/pending_dynamic_removal", "/pending_active_hc", "/excluded_via_immediate_hc_fail", "/active_hc_timeout", "/eds_status_draining",
	"/degraded_outlier_detection",
}

// String is the form of /clusters: "healthy" or "/failed_eds_health".
func (f HealthFlag) String() string {
	if f == 0 {
		return "healthy"
	}
	var b strings.Builder
	for i, n := range healthFlagNames {
		if f&(1<<i) != 0 {
			b.WriteString(n)
		}
	}
	return b.String()
}

// Host is one endpoint of a cluster. It is shared by main and all workers.
type Host struct {
	Address  network.Address   // what tells it from others; see Current
	More     []network.Address // additional_addresses
	Hostname string
	Locality *Locality // never nil
	Cluster  *Info     // that the host is of
	Priority uint32
	// Zone is where responses count by zone, nil where no zones are known.
	Zone *stats.Group[ZoneStats]
	// HealthCheckAddress is where active health checks go when not to Address,
	// HealthCheckHostname the host that they name, and NoActiveHC says that
	// there are none (Endpoint.HealthCheckConfig).
	HealthCheckAddress  network.Address
	HealthCheckHostname string
	NoActiveHC          bool

	place      atomic.Pointer[place] // nil: Address, and no other
	monitor    atomic.Pointer[Monitor]
	failNow    atomic.Pointer[func()]
	loadReport atomic.Pointer[func(*orca.Report)]
	metadata   atomic.Pointer[Metadata]
	locality   atomic.Pointer[Metadata]
	weight     atomic.Uint32
	health     atomic.Uint32
	// Active counts requests and TCP connections over all workers, where
	// Info.ShareActive asks for it.
	Active atomic.Int32
	// Conns counts connections over all workers.
	Conns atomic.Int32

	// healthySince is the Now of when the host became healthy; 0: unknown.
	healthySince atomic.Int64

	stats []atomic.Pointer[HostStats] // by owner: 0 is main
	group *stats.Group[HostStats]     // nil unless the host's figures are statistics
}

// HostStats are one worker's counters of a host. Only that worker touches
// them; /clusters sums copies made on each worker.
type HostStats struct {
	CxConnectFail   stats.Counter `stat:"cx_connect_fail"`
	CxTotal         stats.Counter `stat:"cx_total"`
	RqError         stats.Counter `stat:"rq_error"`
	RqSuccess       stats.Counter `stat:"rq_success"`
	RqTimeout       stats.Counter `stat:"rq_timeout"`
	RqTotal         stats.Counter `stat:"rq_total"`
	CxActive        stats.Gauge   `stat:"cx_active"`
	RqActive        stats.Gauge   `stat:"rq_active"`
	RqPendingActive stats.Gauge   `stat:"rq_pending_active"`
	Healthy         stats.Gauge   `stat:"healthy"` // main's, where the host is tracked
}

// Add adds o to s.
func (s *HostStats) Add(o *HostStats) {
	s.CxTotal += o.CxTotal
	s.CxActive.Add(o.CxActive.Value())
	s.CxConnectFail += o.CxConnectFail
	s.RqTotal += o.RqTotal
	s.RqActive.Add(o.RqActive.Value())
	s.RqPendingActive.Add(o.RqPendingActive.Value())
	s.RqError += o.RqError
	s.RqSuccess += o.RqSuccess
	s.RqTimeout += o.RqTimeout
}

// NoLocality is that of endpoints whose locality is not given.
var NoLocality = &Locality{}

// NewHost makes a host for as many owners of counters as there are goroutines
// that use it (main and the workers). A weight of 0 counts as 1.
func NewHost(addr network.Address, hostname string, weight uint32, locality *Locality, owners int) *Host {
	if locality == nil {
		locality = NoLocality
	}
	h := &Host{Address: addr, Hostname: hostname, Locality: locality, stats: make([]atomic.Pointer[HostStats], owners)}
	h.SetWeight(weight)
	return h
}

// Stats is the owner's counters, made on the first call. Only that owner's
// goroutine may call it.
func (h *Host) Stats(owner int) *HostStats {
	p := &h.stats[owner]
	if s := p.Load(); s != nil {
		return s
	}
	s := &HostStats{}
	if h.group != nil {
		s = h.group.For(owner)
	}
	p.Store(s)
	return s
}

// Track makes the host's figures statistics of its cluster
// (per_endpoint_stats), until Untrack. It is to be called before anybody uses
// the host.
func (h *Host) Track(store *stats.Store) {
	c, addr := h.Cluster.StatName, h.Address.String()
	tags := []stats.Tag{{Name: "envoy.cluster_name", Value: c}, {Name: "envoy.endpoint_address", Value: addr}}
	if h.Hostname != "" {
		tags = append(tags, stats.Tag{Name: "envoy.endpoint_hostname", Value: h.Hostname})
	}
	h.group = stats.NewGroup[HostStats](store, stats.Scope{
		Prefix: h.Cluster.StatScope().Prefix + "endpoint." + addr + ".", Base: "cluster.endpoint.", Tags: tags,
	})
}

// Tracked tells whether Track was called.
func (h *Host) Tracked() bool { return h.group != nil }

// Untrack takes the host's statistics off the pages.
func (h *Host) Untrack() {
	if h.group != nil {
		h.group.Close()
	}
}

// StatsIfAny is Stats without making them: nil when the owner never used the host.
func (h *Host) StatsIfAny(owner int) *HostStats { return h.stats[owner].Load() }

// place is where a host is.
type place struct {
	current network.Address
	all     []network.Address // in the order in which they are tried
}

// Current is where the host is now: a logical host's address is the first that
// its name had last.
func (h *Host) Current() network.Address {
	if p := h.place.Load(); p != nil {
		return p.current
	}
	return h.Address
}

// Addresses are those that connections try, in this order; fewer than two:
// Current alone.
func (h *Host) Addresses() []network.Address {
	if p := h.place.Load(); p != nil {
		return p.all
	}
	return nil
}

// SetCurrent moves the host to these addresses, at least one. Connections that
// stand stay. Only main calls it, once Cluster is set.
func (h *Host) SetCurrent(addrs ...network.Address) {
	p := &place{current: addrs[0]}
	if len(addrs) > 1 {
		p.all = h.Cluster.HappyEyeballs.order(addrs)
	}
	h.place.Store(p)
}

// Monitor counts for outlier detection; nil, which may be used, without it.
func (h *Host) Monitor() *Monitor { return h.monitor.Load() }

// SetMonitor sets the monitor. Only main calls it.
func (h *Host) SetMonitor(m *Monitor) { h.monitor.Store(m) }

// FailNow tells the active health checks, if there are any, that the host
// itself asks not to be used: by x-envoy-immediate-health-check-fail.
func (h *Host) FailNow() {
	if f := h.failNow.Load(); f != nil {
		(*f)()
	}
}

// OnFailNow sets what FailNow calls, on a worker.
func (h *Host) OnFailNow(f func()) { h.failNow.Store(&f) }

// Weight is the load balancing weight, at least 1.
func (h *Host) Weight() uint32 { return h.weight.Load() }

// SetWeight changes the weight; load balancers see it with the next host set.
func (h *Host) SetWeight(w uint32) { h.weight.Store(max(w, 1)) }

// Metadata is the endpoint's metadata, nil when it has none.
func (h *Host) Metadata() Metadata {
	if m := h.metadata.Load(); m != nil {
		return *m
	}
	return nil
}

// SetMetadata replaces the metadata.
func (h *Host) SetMetadata(m Metadata) {
	if m == nil {
		h.metadata.Store(nil)
		return
	}
	h.metadata.Store(&m)
}

// LocalityMetadata is the metadata of the endpoint's locality, nil when it has
// none.
func (h *Host) LocalityMetadata() Metadata {
	if m := h.locality.Load(); m != nil {
		return *m
	}
	return nil
}

// SetLocalityMetadata replaces it.
func (h *Host) SetLocalityMetadata(m Metadata) {
	if m == nil {
		h.locality.Store(nil)
		return
	}
	h.locality.Store(&m)
}

// Health is the set of reasons not to use the host.
func (h *Host) Health() HealthFlag { return HealthFlag(h.health.Load()) }

// SetHealth sets or clears flags and tells whether that changed anything.
// Only main calls it, and publishes new host sets after.
func (h *Host) SetHealth(f HealthFlag, on bool) bool {
	old := h.health.Load()
	now := old &^ uint32(f)
	if on {
		now = old | uint32(f)
	}
	h.health.Store(now)
	return now != old
}

// HealthySince is the Now of when the host was last found to be healthy: for
// slow start.
func (h *Host) HealthySince() (t time.Duration, ok bool) {
	n := h.healthySince.Load()
	return time.Duration(n), n != 0
}

// SetHealthySince sets it. Only main calls it.
func (h *Host) SetHealthySince(t time.Duration) { h.healthySince.Store(int64(t)) }

var started = time.Now()

// Now is a clock that only goes forward, the same for all goroutines.
func Now() time.Duration { return time.Since(started) + 1 }

// Usability is what host sets sort hosts by.
type Usability uint8

const (
	Healthy Usability = iota
	Degraded
	Unhealthy
)

// Usability follows from the health flags.
func (h *Host) Usability() Usability {
	switch f := h.Health(); {
	case f&unhealthyFlags != 0:
		return Unhealthy
	case f&degradedFlags != 0:
		return Degraded
	}
	return Healthy
}

// Excluded tells whether the host is left out of load calculations.
func (h *Host) Excluded() bool { return h.Health()&excludedFlags != 0 }

// Canary is the endpoint's envoy.lb canary flag, which statistics know.
func (h *Host) Canary() bool {
	c, _ := h.Metadata()["envoy.lb"]["canary"].(bool)
	return c
}
