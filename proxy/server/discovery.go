package server

import (
	"time"

	adminv3 "github.com/envoyproxy/go-control-plane/envoy/admin/v3"
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"

	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/stats"
	"github.com/weirproxy/weir/xds"
)

// checkSources refuses a bootstrap's sources that could not be subscribed to.
func (s *server) checkSources() error {
	d := s.bootstrap.GetDynamicResources()
	p := field.Path("dynamic_resources")
	if src := d.GetCdsConfig(); src != nil {
		if err := s.xds.Check(p.Dot("cds_config"), src, xds.ClusterType); err != nil {
			return err
		}
	}
	if src := d.GetLdsConfig(); src != nil {
		if err := s.xds.Check(p.Dot("lds_config"), src, xds.ListenerType); err != nil {
			return err
		}
	}
	for i, l := range s.bootstrap.GetLayeredRuntime().GetLayers() {
		if r := l.GetRtdsLayer(); r != nil {
			p := field.Path("layered_runtime.layers").Index(i).Dot("rtds_layer").Dot("rtds_config")
			if err := s.xds.Check(p, r.GetRtdsConfig(), xds.RuntimeType); err != nil {
				return err
			}
		}
	}
	return nil
}

// hasCluster tells whether the bootstrap itself has a cluster.
func (s *server) hasCluster(name string) bool {
	return slices.ContainsFunc(s.bootstrap.GetStaticResources().GetClusters(), func(c *clusterv3.Cluster) bool { return c.GetName() == name })
}

// subscribeClusters starts CDS if the bootstrap has it.
func (s *server) subscribeClusters() (err error) {
	src := s.bootstrap.GetDynamicResources().GetCdsConfig()
	if src == nil {
		s.clusters.EndStatic()
		return nil
	}
	st := s.xdsStats("cluster_manager.cds.")
	st.Declare(configReload)
	s.cds, err = s.xds.Subscribe(xds.Request{
		Source: src, Path: "dynamic_resources.cds_config", TypeURL: xds.ClusterType,
		OnUpdate:  func(rs []xds.Resource, version string) error { return s.updateClusters(rs, version, st) },
		OnFailure: func(why xds.Failure, err error) { s.discoveryFailed("CDS", why, err, s.clusters.EndStatic) },
		Stats:     st,
	})
	return err
}

// clustersWarm holds back the answer to a CDS response on the ADS stream until
// the clusters that it brought are warm: a control plane may wait for it before
// it sends routes to them.
func (s *server) clustersWarm(some bool) {
	switch {
	case some && s.resumeCDS == nil && s.bootstrap.GetDynamicResources().GetCdsConfig().GetAds() != nil:
		s.resumeCDS = s.xds.Pause(xds.ClusterType)
	case !some && s.resumeCDS != nil:
		s.resumeCDS()
		s.resumeCDS = nil
	}
}

// updateClusters takes a whole set of clusters. What is good in it is applied
// even if something else is not.
func (s *server) updateClusters(rs []xds.Resource, version string, st xds.Stats) error {
	// Many clusters ask for their endpoints in one request.
	defer s.xds.Pause(xds.EndpointType)()
	var errs []error
	seen, changed := make(map[string]bool, len(rs)), false
	for _, r := range rs {
		seen[r.Name] = true
		if new, err := s.clusters.AddOrUpdate(field.Path("cluster["+r.Name+"]"), r.Message.(*clusterv3.Cluster), version, false); err != nil {
			errs = append(errs, err)
		} else {
			changed = changed || new
		}
	}
	for _, name := range s.clusters.Dynamic() {
		if !seen[name] {
			s.clusters.Remove(name)
		}
	}
	s.clusters.EndStatic()
	if changed && errs == nil {
		reloaded(st)
	}
	return rejected("clusters", errs)
}

// subscribeListeners starts LDS if the bootstrap has it.
func (s *server) subscribeListeners() (err error) {
	src := s.bootstrap.GetDynamicResources().GetLdsConfig()
	if src == nil {
		s.listeners.EndStatic()
		return nil
	}
	s.lds, err = s.xds.Subscribe(xds.Request{
		Source: src, Path: "dynamic_resources.lds_config", TypeURL: xds.ListenerType,
		OnUpdate:  s.updateListeners,
		OnFailure: func(why xds.Failure, err error) { s.discoveryFailed("LDS", why, err, s.listeners.EndStatic) },
		Stats:     s.xdsStats("listener_manager.lds."),
	})
	return err
}

func (s *server) updateListeners(rs []xds.Resource, version string) error {
	defer s.xds.Pause(xds.RouteType)()
	var errs []error
	s.badListeners = nil
	seen := make(map[string]bool, len(rs))
	for _, r := range rs {
		seen[r.Name] = true
	}
	// Addresses of listeners that go are free for those that come.
	for _, name := range s.listeners.Dynamic() {
		if !seen[name] {
			s.listeners.Remove(name)
		}
	}
	for _, r := range rs {
		if _, err := s.listeners.AddOrUpdate(field.Path("listener["+r.Name+"]"), r.Message.(*listenerv3.Listener), version, false); err != nil {
			errs = append(errs, err)
			s.badListeners = append(s.badListeners, &adminv3.ListenersConfigDump_DynamicListener{Name: r.Name, ErrorState: &adminv3.UpdateFailureState{
				FailedConfiguration: r.Raw, LastUpdateAttempt: stamp(time.Now()), Details: err.Error()}})
		}
	}
	s.listeners.EndStatic()
	return rejected("listeners", errs)
}

func rejected(what string, errs []error) error {
	if len(errs) == 0 {
		return nil
	}
	return fmt.Errorf("error adding/updating %s: %w", what, errors.Join(errs...))
}

// discoveryFailed logs a refused or late update; nothing waits for one any longer.
func (s *server) discoveryFailed(what string, why xds.Failure, err error, proceed func()) {
	s.log.get("config").Warn(what+" has nothing new", "reason", why.String(), "error", err)
	proceed()
}

// Subscribe implements upstream.EndpointSubscriber: EDS for one cluster.
func (s *server) Subscribe(name string, src *corev3.ConfigSource) (cancel func(), err error) {
	sub, err := s.xds.Subscribe(xds.Request{
		Source: src, Path: field.Path("cluster[" + name + "].eds_cluster_config.eds_config"), TypeURL: xds.EndpointType, Names: []string{name},
		OnUpdate: func(rs []xds.Resource, version string) error {
			for _, r := range rs {
				if err := s.clusters.UpdateEndpoints(r.Name, version, r.Message.(*endpointv3.ClusterLoadAssignment)); err != nil {
					return err
				}
			}
			return nil
		},
		OnFailure: func(why xds.Failure, err error) {
			proceed := s.clusters.EndpointsTimedOut
			if why == xds.Rejected {
				proceed = s.clusters.EndpointsRejected
			}
			s.discoveryFailed("EDS "+name, why, err, func() { proceed(name) })
		},
		OnRemoved: s.clusters.EndpointsRemoved,
		OnLost:    func() { s.clusters.EndpointsLost(name) },
	})
	if err != nil {
		return nil, err
	}
	return sub.Close, nil
}

// xdsStats are the statistics of a subscription or stream under a prefix.
func (s *server) xdsStats(prefix string) xds.Stats {
	return storeStats{s.stats, prefix, stats.NewGroup[updateStats](s.stats, stats.Scope{Prefix: prefix, Lazy: true}), map[string]bool{}}
}

// streamStats are the statistics of the ADS stream.
func (s *server) streamStats() xds.Stats { return storeStats{store: s.stats} }

// updateStats are those of a subscription that are no numbers.
type updateStats struct {
	Duration stats.Histogram `stat:"update_duration"` // ms
}

// Of subscriptions to clusters and routes alone: what came was not what was there.
const configReload = "config_reload"

func reloaded(st xds.Stats) {
	st.Inc(configReload)
	st.Set("config_reload_time_ms", uint64(time.Now().UnixMilli()))
}

// storeStats implements xds.Stats by dynamic statistics of the store.
type storeStats struct {
	store   *stats.Store
	prefix  string
	updates *stats.Group[updateStats] // of subscriptions, nil for a stream
	names   map[string]bool           // used, in full; nil for a stream
}

// full is a statistic's full name.
func (x storeStats) full(name string) string {
	name = x.prefix + name
	if x.names != nil {
		x.names[name] = true
	}
	return name
}

// Close implements xds.Stats.
func (x storeStats) Close() {
	if x.updates != nil {
		x.updates.CloseWith(slices.Collect(maps.Keys(x.names)))
	}
}

func (x storeStats) Declare(names ...string) {
	if x.updates != nil {
		x.updates.For(0)
	}
	for _, n := range names {
		x.store.Counter(x.full(n))
	}
}

func (x storeStats) Inc(name string)           { x.store.Counter(x.full(name)).Inc() }
func (x storeStats) Set(name string, v uint64) { x.store.Gauge(x.full(name)).SetWide(v) }
func (x storeStats) SetText(name, v string)    { x.store.Text(x.full(name)).Set(v) }
func (x storeStats) Took(d time.Duration) {
	x.updates.For(0).Duration.Record(uint64(d / time.Millisecond))
}
