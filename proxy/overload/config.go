package overload

import (
	"log/slog"
	"os"
	"path/filepath"
	"time"

	overloadv3 "github.com/envoyproxy/go-control-plane/envoy/config/overload/v3"
	cgroupv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/resource_monitors/cgroup_memory/v3"
	cpuv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/resource_monitors/cpu_utilization/v3"
	connectionsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/resource_monitors/downstream_connections/v3"
	heapv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/resource_monitors/fixed_heap/v3"
	injectedv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/resource_monitors/injected_resource/v3"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/stats"
	"github.com/weirproxy/weir/xds/protos"
)

// Options are what a Manager needs of the server.
type Options struct {
	Stats *stats.Store
	Log   *slog.Logger
	// Post runs a function on the main loop.
	Post func(func())
	// Connections counts those of all listeners that the limit is for.
	Connections func() int64
}

// Types are the resource monitors that weir has, by their configuration's message.
var Types = map[string]func(*Manager, field.Path, *anypb.Any) (func() (float64, error), error){
	"envoy.extensions.resource_monitors.fixed_heap.v3.FixedHeapConfig":                         newFixedHeap,
	"envoy.extensions.resource_monitors.cgroup_memory.v3.CgroupMemoryConfig":                   newCgroupMemory,
	"envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig": newConnections,
	"envoy.extensions.resource_monitors.cpu_utilization.v3.CpuUtilizationConfig":               newCPU,
	"envoy.extensions.resource_monitors.injected_resource.v3.InjectedResourceConfig":           newInjected,
}

// New makes a Manager of an overload_manager at p; nil is none.
func New(p field.Path, c *overloadv3.OverloadManager, o Options) (*Manager, error) {
	delay := stats.NewGroup[refreshStats](o.Stats, stats.Scope{Prefix: "overload."}) // there without a configuration, too
	if c == nil {
		return nil, nil
	}
	if err := field.Only(p, c, "refresh_interval", "resource_monitors", "actions", "loadshed_points"); err != nil {
		return nil, err
	}
	m := &Manager{delay: &delay.For(0).Delay, post: o.Post, interval: time.Second, log: o.Log, connections: o.Connections}
	if d := c.GetRefreshInterval(); d != nil {
		m.interval = d.AsDuration()
	}
	if m.interval <= 0 {
		return nil, p.Dot("refresh_interval").Errorf("must be more than 0")
	}
	byName := map[string]int{}
	for i, r := range c.GetResourceMonitors() {
		at := p.Dot("resource_monitors").Index(i)
		if _, twice := byName[r.GetName()]; twice {
			return nil, at.Dot("name").Errorf("duplicate resource monitor %s", r.GetName())
		}
		make := Types[protos.TypeName(r.GetTypedConfig())]
		if make == nil {
			return nil, at.Dot("typed_config").Errorf("weir has no resource monitor %q (%s)", r.GetName(), r.GetTypedConfig().GetTypeUrl())
		}
		measure, err := make(m, at.Dot("typed_config"), r.GetTypedConfig())
		if err != nil {
			return nil, err
		}
		byName[r.GetName()] = len(m.monitors)
		prefix := "overload." + r.GetName() + "."
		o.Stats.Counter(prefix + "skipped_updates")
		m.monitors = append(m.monitors, &monitor{name: r.GetName(), pressure: measure, gauge: o.Stats.Gauge(prefix + "pressure"), failed: o.Stats.Counter(prefix + "failed_updates")})
	}
	for i, a := range c.GetActions() {
		if err := m.addAction(p.Dot("actions").Index(i), a, byName, o.Stats); err != nil {
			return nil, err
		}
	}
	for i, l := range c.GetLoadshedPoints() {
		if err := m.addPoint(p.Dot("loadshed_points").Index(i), l, byName, o.Stats); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func newFixedHeap(_ *Manager, p field.Path, config *anypb.Any) (func() (float64, error), error) {
	c, err := protos.UnpackAs[*heapv3.FixedHeapConfig](p, config)
	if err != nil {
		return nil, err
	}
	if c.GetMaxHeapSizeBytes() == 0 {
		return nil, p.Dot("max_heap_size_bytes").Errorf("must be greater than 0")
	}
	return heap(c.GetMaxHeapSizeBytes()), field.Only(p, c, "max_heap_size_bytes")
}

func newCgroupMemory(_ *Manager, p field.Path, config *anypb.Any) (func() (float64, error), error) {
	c, err := protos.UnpackAs[*cgroupv3.CgroupMemoryConfig](p, config)
	if err != nil {
		return nil, err
	}
	return cgroupMemory(c.GetMaxMemoryBytes()), field.Only(p, c, "max_memory_bytes")
}

func newConnections(m *Manager, p field.Path, config *anypb.Any) (func() (float64, error), error) {
	c, err := protos.UnpackAs[*connectionsv3.DownstreamConnectionsConfig](p, config)
	if err != nil {
		return nil, err
	}
	m.maxConnections = uint64(c.GetMaxActiveDownstreamConnections())
	return func() (float64, error) { return float64(m.connections()) / float64(m.maxConnections), nil },
		field.Only(p, c, "max_active_downstream_connections")
}

func newCPU(_ *Manager, p field.Path, config *anypb.Any) (func() (float64, error), error) {
	c, err := protos.UnpackAs[*cpuv3.CpuUtilizationConfig](p, config)
	if err != nil {
		return nil, err
	}
	times := hostTimes
	if c.GetMode() == cpuv3.CpuUtilizationConfig_CONTAINER {
		times = containerTimes
	}
	return (&cpu{times: times}).pressure, field.Only(p, c, "mode")
}

func newInjected(_ *Manager, p field.Path, config *anypb.Any) (func() (float64, error), error) {
	c, err := protos.UnpackAs[*injectedv3.InjectedResourceConfig](p, config)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Dir(c.GetFilename())); err != nil {
		return nil, p.Dot("filename").Wrap(err)
	}
	return injected(c.GetFilename()), field.Only(p, c, "filename")
}
