package upstream

import (
	"slices"
	"time"

	"github.com/weirproxy/weir/proxy/event"
	"github.com/weirproxy/weir/proxy/stats"
	"github.com/weirproxy/weir/proxy/upstream/cluster"
)

// edsDiscovery has its hosts from xDS.
type edsDiscovery struct {
	c       *master
	cancel  func()
	current *assignment
	group   *stats.Group[subscriptionStats]
	stale   *event.Timer // of endpoint_stale_after
}

func (d *edsDiscovery) start() (err error) {
	m, e := d.c.m, d.c.cfg.eds
	d.group = stats.NewGroup[subscriptionStats](m.o.Stats, d.c.cfg.info.StatScope())
	others := m.byService[e.service]
	m.byService[e.service] = append(others, d)
	if !e.file { // reading it is the attempt
		d.c.stats.UpdateAttempt.Inc()
	}
	if d.cancel, err = m.o.Endpoints.Subscribe(e.service, e.source); err != nil {
		return err
	}
	// Another configuration of the cluster may know the endpoints already,
	// and the control plane need not send again what has not changed.
	if d.current == nil && len(others) > 0 && others[0].current != nil {
		d.take(others[0].current)
	}
	return nil
}

func (d *edsDiscovery) stop() {
	service := d.c.cfg.eds.service
	m := d.c.m
	m.byService[service] = slices.DeleteFunc(slices.Clone(m.byService[service]), func(x *edsDiscovery) bool { return x == d })
	if len(m.byService[service]) == 0 {
		delete(m.byService, service)
	}
	if d.cancel != nil {
		d.cancel()
	}
	d.group.Close()
	if d.stale != nil {
		d.stale.Release()
	}
}

func (d *edsDiscovery) take(a *assignment) {
	d.current = a
	if d.stale != nil {
		d.stale.Disable()
	}
	if a.stale > 0 {
		d.c.stats.AssignmentTimeout.Inc()
		if d.stale == nil {
			d.stale = d.c.m.o.Main.NewTimer(d.outdated)
		}
		d.stale.Enable(a.stale)
	}
	d.c.apply(a)
	d.c.ready()
}

// outdated takes out endpoints that were not confirmed in time.
func (d *edsDiscovery) outdated() {
	d.c.stats.AssignmentStale.Inc()
	d.current = &assignment{overprovisioning: cluster.DefaultOverprovisioning}
	d.c.apply(d.current)
}

// assign gives a service's endpoints to the clusters that use it.
func (m *Manager) assign(service, version string, a *assignment) {
	for _, d := range m.byService[service] {
		s := d.c.stats
		s.UpdateAttempt.Inc()
		s.UpdateSuccess.Inc()
		begun := time.Now()
		d.group.For(0).UpdateTime.Set(begun.UnixMilli())
		d.group.For(0).VersionText.Set(version)
		d.take(a)
		d.group.For(0).UpdateDuration.Record(uint64(time.Since(begun) / time.Millisecond))
	}
}

// EndpointsRejected tells that an update of a service's endpoints was refused:
// clusters that wait for them go on without.
func (m *Manager) EndpointsRejected(service string) {
	for _, d := range m.byService[service] {
		d.c.stats.UpdateAttempt.Inc()
		d.group.For(0).UpdateRejected.Inc()
		d.c.ready()
	}
}

// EndpointsLost tells that nothing came, as the control plane was lost.
func (m *Manager) EndpointsLost(service string) {
	for _, d := range m.byService[service] {
		d.c.stats.UpdateAttempt.Inc()
		d.c.stats.UpdateFailure.Inc()
	}
}

// EndpointsRemoved tells that the control plane has no such service any more.
// Clusters keep the hosts that they have.
func (m *Manager) EndpointsRemoved(service string) {
	for _, d := range m.byService[service] {
		s := d.c.stats
		s.UpdateAttempt.Inc()
		s.UpdateSuccess.Inc()
		s.UpdateEmpty.Inc()
		d.c.ready()
	}
}

// EndpointsTimedOut tells that a service's endpoints did not come within
// initial_fetch_timeout: clusters that wait for them go on without hosts.
func (m *Manager) EndpointsTimedOut(service string) {
	for _, d := range m.byService[service] {
		d.c.stats.UpdateAttempt.Inc()
		d.group.For(0).InitFetchTimeout.Inc()
		d.c.ready()
	}
}
