package overload

import (
	"slices"

	overloadv3 "github.com/envoyproxy/go-control-plane/envoy/config/overload/v3"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/stats"
	"github.com/weirproxy/weir/xds/protos"
)

func (m *Manager) addAction(p field.Path, c *overloadv3.OverloadAction, monitors map[string]int, st *stats.Store) error {
	if err := field.Only(p, c, "name", "triggers", "typed_config"); err != nil {
		return err
	}
	a := action(slices.Index(names[:], c.GetName()))
	if a < 0 {
		return p.Dot("name").Errorf("weir has no overload action %q", c.GetName())
	}
	if m.actions[a].triggers != nil {
		return p.Dot("name").Errorf("duplicate overload action %s", c.GetName())
	}
	switch {
	case a == reduceTimeouts:
		if err := m.addFloors(p.Dot("typed_config"), c.GetTypedConfig()); err != nil {
			return err
		}
	case c.GetTypedConfig() != nil:
		return p.Dot("typed_config").Errorf("weir does not support a configuration of overload action %s", c.GetName())
	}
	prefix := "overload." + c.GetName() + "."
	m.active[a] = st.Gauge(prefix + "active")
	if a == shrinkHeap {
		m.shrunk = st.Counter(prefix + "shrink_count")
	}
	return m.actions[a].configure(p, c.GetName(), c.GetTriggers(), monitors, st)
}

func (m *Manager) addPoint(p field.Path, c *overloadv3.LoadShedPoint, monitors map[string]int, st *stats.Store) error {
	if err := field.Only(p, c, "name", "triggers"); err != nil {
		return err
	}
	i := slices.Index(pointNames[:], c.GetName())
	if i < 0 {
		return p.Dot("name").Errorf("weir has no load shed point %q", c.GetName())
	}
	if m.points[i].triggers != nil {
		return p.Dot("name").Errorf("duplicate load shed point %s", c.GetName())
	}
	m.points[i].shed = st.Counter("overload." + c.GetName() + ".shed_load_count")
	return m.points[i].configure(p, c.GetName(), c.GetTriggers(), monitors, st)
}

// configure takes in the triggers of what has the name.
func (s *state) configure(p field.Path, name string, triggers []*overloadv3.Trigger, monitors map[string]int, st *stats.Store) error {
	for i, t := range triggers {
		tp := p.Dot("triggers").Index(i)
		index, ok := monitors[t.GetName()]
		if !ok {
			return tp.Dot("name").Errorf("unknown trigger resource %s for %s", t.GetName(), name)
		}
		out := trigger{monitor: index}
		if slices.ContainsFunc(s.triggers, func(t trigger) bool { return t.monitor == index }) {
			return tp.Dot("name").Errorf("duplicate trigger resource for %s", name)
		}
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
		s.triggers = append(s.triggers, out)
	}
	s.scale = st.Gauge("overload." + name + ".scale_percent")
	return nil
}

var timeouts = map[overloadv3.ScaleTimersOverloadActionConfig_TimerType]Timeout{
	overloadv3.ScaleTimersOverloadActionConfig_HTTP_DOWNSTREAM_CONNECTION_IDLE: ConnectionIdle,
	overloadv3.ScaleTimersOverloadActionConfig_HTTP_DOWNSTREAM_STREAM_IDLE:     StreamIdle,
	overloadv3.ScaleTimersOverloadActionConfig_TRANSPORT_SOCKET_CONNECT:        TransportConnect,
	overloadv3.ScaleTimersOverloadActionConfig_HTTP_DOWNSTREAM_CONNECTION_MAX:  ConnectionMax,
	overloadv3.ScaleTimersOverloadActionConfig_HTTP_DOWNSTREAM_STREAM_FLUSH:    StreamFlush,
}

// addFloors compiles what reduce_timeouts may do.
func (m *Manager) addFloors(p field.Path, config *anypb.Any) error {
	if config == nil {
		return p.Errorf("reduce_timeouts needs a ScaleTimersOverloadActionConfig")
	}
	c, err := protos.UnpackAs[*overloadv3.ScaleTimersOverloadActionConfig](p, config)
	if err != nil {
		return err
	}
	if err := field.Only(p, c, "timer_scale_factors"); err != nil {
		return err
	}
	for i, f := range c.GetTimerScaleFactors() {
		p := p.Dot("timer_scale_factors").Index(i)
		kind, ok := timeouts[f.GetTimer()]
		if !ok {
			return p.Dot("timer").Errorf("weir does not support timer %s", f.GetTimer())
		}
		if m.floors[kind].set {
			return p.Dot("timer").Errorf("found duplicate entry for timer type %s", f.GetTimer())
		}
		out := floor{set: true}
		switch a := f.GetOverloadAdjust().(type) {
		case *overloadv3.ScaleTimersOverloadActionConfig_ScaleTimer_MinTimeout:
			out.least = a.MinTimeout.AsDuration()
		case *overloadv3.ScaleTimersOverloadActionConfig_ScaleTimer_MinScale:
			out.share = a.MinScale.GetValue() / 100
		default:
			return p.Errorf("needs min_timeout or min_scale")
		}
		m.floors[kind] = out
	}
	return nil
}
