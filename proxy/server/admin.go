package server

import (
	"context"
	"maps"
	"slices"

	adminv3 "github.com/envoyproxy/go-control-plane/envoy/admin/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"time"

	"github.com/weirproxy/weir/internal/buildinfo"
	"github.com/weirproxy/weir/proxy/admin"
	"github.com/weirproxy/weir/proxy/listener"
)

// startAdmin binds the admin address and serves the pages, if there is one.
func (s *server) startAdmin() error {
	if s.bootstrap.GetAdmin().GetAddress() == nil {
		return nil
	}
	c, err := admin.NewConfig("admin", s.bootstrap.GetAdmin())
	if err != nil {
		return err
	}
	sources := s.adminSources()
	if sources.Access, err = s.adminAccess(); err != nil {
		return err
	}
	sources.Traffic = newAdminTraffic(s.stats, s.loops[0].Post)
	if s.admin, err = admin.Listen(c, sources); err != nil {
		return err
	}
	if s.o.AdminAddressPath != "" {
		if err := s.admin.WriteAddress(s.o.AdminAddressPath); err != nil {
			return err
		}
	}
	go func() {
		if err := s.admin.Serve(); err != nil {
			s.log.get("admin").Error("admin", "error", err)
		}
	}()
	return nil
}

// onMain runs f on the main loop and waits for it.
func (s *server) onMain(ctx context.Context, f func()) error {
	done := make(chan struct{})
	s.loops[0].Post(func() { f(); close(done) })
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *server) adminSources() admin.Sources {
	out := admin.Sources{
		State:      s.adminState,
		ServerInfo: s.serverInfo,
		Stats:      s.adminStats(),
		Clusters:   s.dumpClusters,
		Listeners: func(ctx context.Context) (out []admin.Listener, err error) {
			err = s.onMain(ctx, func() { out = s.dumpListeners() })
			return out, err
		},
		Routes: func(ctx context.Context) (out []admin.RouteTable, err error) {
			err = s.onMain(ctx, func() { out = s.dumpRoutes() })
			return out, err
		},
		Certs:   s.dumpCerts,
		Runtime: func(context.Context) (admin.Runtime, error) { return s.dumpRuntime(), nil },
		ConfigDump: func(ctx context.Context, includeEDS bool) (out []proto.Message, err error) {
			if err = s.onMain(ctx, func() { out = s.dumpConfig() }); err != nil || !includeEDS {
				return out, err
			}
			endpoints, err := s.dumpEndpoints(ctx)
			before := slices.IndexFunc(out, func(m proto.Message) bool { _, ok := m.(*adminv3.ListenersConfigDump); return ok })
			return slices.Insert(out, before, endpoints), err
		},
		InitDump:        func(context.Context) ([]admin.UnreadyTargets, error) { return s.unready(), nil },
		Loggers:         s.log,
		FailHealthCheck: s.failHealthCheck,
		Drain:           s.adminDrain,
		Quit:            func() { s.loops[0].Post(s.end) },
		ReopenLogs:      s.logs.Reopen,
	}
	if s.runtime.Modifiable() {
		out.ModifyRuntime = s.runtime.Modify
	}
	return out
}

func (s *server) adminStats() adminStats {
	a := adminStats{Store: s.stats}
	if s.bootstrap.GetStatsFlushOnAdmin() {
		a.flush = s.flushStats
	}
	return a
}

// failHealthCheck makes the instance fail its health checks, or pass them again.
func (s *server) failHealthCheck(fail bool) {
	s.healthFail.Store(fail)
	live := int64(1)
	if fail {
		live = 0
	}
	s.loops[0].Post(func() { s.serverSt.For(0).Live.Set(live) })
}

func (s *server) adminState() admin.State {
	st := s.state.Load().(admin.State)
	if st == admin.Live && s.healthFail.Load() {
		return admin.Draining
	}
	return st
}

func (s *server) serverInfo() proto.Message {
	return &adminv3.ServerInfo{
		Version:            buildinfo.Revision() + "/" + buildinfo.Version() + "/Clean/RELEASE/Go",
		State:              adminv3.ServerInfo_State(adminv3.ServerInfo_State_value[string(s.adminState())]),
		UptimeCurrentEpoch: durationpb.New(time.Since(s.started).Truncate(time.Second)),
		UptimeAllEpochs:    durationpb.New(time.Since(s.started).Truncate(time.Second)),
		Node:               s.bootstrap.GetNode(),
		CommandLineOptions: &adminv3.CommandLineOptions{
			BaseId: uint64(s.o.BaseID), Concurrency: uint32(s.o.Concurrency), ConfigPath: s.o.ConfigPath, ConfigYaml: s.o.ConfigYAML,
			AdminAddressPath: s.o.AdminAddressPath, LogLevel: s.o.LogLevel, ServiceCluster: s.o.ServiceCluster, ServiceNode: s.o.ServiceNode,
			ServiceZone: s.o.ServiceZone, DrainTime: durationpb.New(s.o.DrainTime), ParentShutdownTime: durationpb.New(s.o.ParentShutdown),
			FileFlushInterval: durationpb.New(s.o.FlushInterval), DisableHotRestart: true,
		},
	}
}

func (s *server) adminDrain(o admin.DrainOptions) error {
	s.loops[0].Post(func() {
		if o.Graceful || o.SkipExit {
			s.listeners.Drain(o.InboundOnly)
		}
		switch {
		case o.SkipExit:
		case o.Graceful:
			s.loops[0].NewTimer(func() { s.listeners.Stop(o.InboundOnly) }).Enable(s.o.DrainTime)
		default:
			s.listeners.Stop(o.InboundOnly)
		}
	})
	return nil
}

func (s *server) dumpListeners() []admin.Listener {
	var out []admin.Listener
	state := s.state.Load().(admin.State)
	starting := state == admin.PreInitializing || state == admin.Initializing
	for _, d := range s.listeners.Dump() {
		if d.State != "active" && !starting {
			continue
		}
		l := admin.Listener{Name: d.Name}
		for _, a := range d.Addresses {
			l.Addresses = append(l.Addresses, a.String())
		}
		out = append(out, l)
	}
	return out
}

func (s *server) dumpRoutes() []admin.RouteTable {
	var out []admin.RouteTable
	for _, t := range s.routes.sorted() {
		if t.proto == nil {
			continue
		}
		source := "rds"
		if t.static {
			source = "static"
		}
		out = append(out, admin.NewRouteTable(t.proto, source, t.version, slices.Sorted(maps.Keys(t.users))))
	}
	return out
}

// dumpConfig is /config_dump, in Envoy's order.
func (s *server) dumpConfig() []proto.Message {
	out := []proto.Message{
		&adminv3.BootstrapConfigDump{Bootstrap: s.bootstrap, LastUpdated: stamp(s.started)},
		s.dumpClusterConfig(),
	}
	if d := s.extensions.dump(); d != nil {
		out = append(out, d)
	}
	out = append(out, s.dumpListenerConfig())
	if s.routes.used {
		out = append(out, s.routes.dumpScoped(), s.dumpRouteConfig())
	}
	return append(out, s.secrets.dump())
}

func (s *server) dumpListenerConfig() proto.Message {
	m := &adminv3.ListenersConfigDump{}
	dynamic := map[string]*adminv3.ListenersConfigDump_DynamicListener{}
	for _, d := range s.listeners.Dump() {
		if d.Static {
			if d.State == "active" {
				m.StaticListeners = append(m.StaticListeners, &adminv3.ListenersConfigDump_StaticListener{Listener: pack(d.Config), LastUpdated: stamp(d.Updated)})
			}
			continue
		}
		x := dynamic[d.Name]
		if x == nil {
			x = &adminv3.ListenersConfigDump_DynamicListener{Name: d.Name}
			dynamic[d.Name] = x
			m.DynamicListeners = append(m.DynamicListeners, x)
		}
		setListenerState(x, d)
	}
	for _, bad := range s.badListeners {
		if x := dynamic[bad.Name]; x != nil {
			x.ErrorState = bad.ErrorState
		} else {
			m.DynamicListeners = append(m.DynamicListeners, bad)
		}
	}
	if s.lds != nil {
		m.VersionInfo = s.lds.Status().Version
	}
	return m
}

func setListenerState(x *adminv3.ListenersConfigDump_DynamicListener, d listener.Dump) {
	st := &adminv3.ListenersConfigDump_DynamicListenerState{VersionInfo: d.Version, Listener: pack(d.Config), LastUpdated: stamp(d.Updated)}
	switch d.State {
	case "active":
		x.ActiveState = st
	case "warming":
		x.WarmingState = st
	default:
		x.DrainingState = st
	}
}

func (s *server) dumpRouteConfig() proto.Message {
	m := &adminv3.RoutesConfigDump{}
	for _, t := range s.routes.sorted() {
		switch {
		case t.proto == nil:
		case t.static:
			m.StaticRouteConfigs = append(m.StaticRouteConfigs, &adminv3.RoutesConfigDump_StaticRouteConfig{RouteConfig: pack(t.proto), LastUpdated: stamp(t.updated)})
		default:
			x := &adminv3.RoutesConfigDump_DynamicRouteConfig{VersionInfo: t.version, RouteConfig: pack(t.proto), LastUpdated: stamp(t.updated)}
			if st := t.sub.Status(); st.Rejected != nil {
				x.ErrorState = &adminv3.UpdateFailureState{VersionInfo: st.Rejected.Version, Details: st.Rejected.Err.Error(), LastUpdateAttempt: stamp(st.Rejected.Time)}
				x.ClientStatus = adminv3.ClientResourceStatus_NACKED
			}
			m.DynamicRouteConfigs = append(m.DynamicRouteConfigs, x)
		}
	}
	return m
}

// pack puts a configuration into an Any, as the dumps hold it.
func pack(m proto.Message) *anypb.Any {
	a, err := anypb.New(m)
	if err != nil {
		return nil // only a message that is not valid UTF-8, which decoding refuses
	}
	return a
}

// stamp is a time as the pages print it: in milliseconds.
func stamp(t time.Time) *timestamppb.Timestamp { return timestamppb.New(t.Truncate(time.Millisecond)) }
