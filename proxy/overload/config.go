package overload

import (
	"log/slog"
	"time"

	overloadv3 "github.com/envoyproxy/go-control-plane/envoy/config/overload/v3"
	cgroupv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/resource_monitors/cgroup_memory/v3"
	connectionsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/resource_monitors/downstream_connections/v3"
	heapv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/resource_monitors/fixed_heap/v3"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/stats"
	"github.com/weirproxy/weir/xds/protos"
)

// Options are what a Manager needs of the server.
type Options struct {
	Stats *stats.Store
	Log   *slog.Logger
	// Connections counts those of all listeners that the limit is for.
	Connections func() int64
}

// Types are the resource monitors that weir has, by their configuration's message.
var Types = map[string]func(*Manager, field.Path, *anypb.Any) (func() (float64, error), error){
	"envoy.extensions.resource_monitors.fixed_heap.v3.FixedHeapConfig":                         newFixedHeap,
	"envoy.extensions.resource_monitors.cgroup_memory.v3.CgroupMemoryConfig":                   newCgroupMemory,
	"envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig": newConnections,
}

// New makes a Manager of an overload_manager at p; nil is none.
func New(p field.Path, c *overloadv3.OverloadManager, o Options) (*Manager, error) {
	if c == nil {
		return nil, nil
	}
	if err := field.Only(p, c, "refresh_interval", "resource_monitors", "actions"); err != nil {
		return nil, err
	}
	m := &Manager{interval: time.Second, log: o.Log, connections: o.Connections}
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
	return m, nil
}

func (m *Manager) addAction(p field.Path, c *overloadv3.OverloadAction, byName map[string]int, st *stats.Store) error {
	if err := field.Only(p, c, "name", "triggers"); err != nil {
		return err
	}
	a := action(-1)
	for i, n := range names {
		if n == c.GetName() {
			a = action(i)
		}
	}
	if a < 0 {
		return p.Dot("name").Errorf("weir has no overload action %q", c.GetName())
	}
	if m.triggers[a] != nil {
		return p.Dot("name").Errorf("duplicate overload action %s", c.GetName())
	}
	for i, t := range c.GetTriggers() {
		tp := p.Dot("triggers").Index(i)
		index, ok := byName[t.GetName()]
		if !ok {
			return tp.Dot("name").Errorf("unknown trigger resource %s for overload action %s", t.GetName(), c.GetName())
		}
		out := trigger{monitor: index}
		switch v := t.GetTriggerOneof().(type) {
		case *overloadv3.Trigger_Threshold:
			out.scaling, out.saturation = v.Threshold.GetValue(), v.Threshold.GetValue()
		case *overloadv3.Trigger_Scaled:
			out.scaling, out.saturation = v.Scaled.GetScalingThreshold(), v.Scaled.GetSaturationThreshold()
			if out.scaling >= out.saturation {
				return tp.Dot("scaled").Errorf("scaling_threshold must be less than saturation_threshold")
			}
		default:
			return tp.Errorf("needs threshold or scaled")
		}
		m.triggers[a] = append(m.triggers[a], out)
	}
	prefix := "overload." + c.GetName() + "."
	m.active[a], m.scale[a] = st.Gauge(prefix+"active"), st.Gauge(prefix+"scale_percent")
	if a == shrinkHeap {
		m.shrunk = st.Counter(prefix + "shrink_count")
	}
	return nil
}

func newFixedHeap(_ *Manager, p field.Path, config *anypb.Any) (func() (float64, error), error) {
	c, err := protos.UnpackAs[*heapv3.FixedHeapConfig](p, config)
	if err != nil {
		return nil, err
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
