package overload

import (
	"errors"
	"log/slog"
	"strings"
	"testing"

	overloadv3 "github.com/envoyproxy/go-control-plane/envoy/config/overload/v3"
	"google.golang.org/protobuf/encoding/protojson"

	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/resource_monitors/injected_resource/v3"

	"github.com/weirproxy/weir/proxy/stats"
)

const heapMonitor = `{"name": "heap", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.resource_monitors.fixed_heap.v3.FixedHeapConfig", "max_heap_size_bytes": 1000}}`

func manager(t *testing.T, text string) (*Manager, error) {
	t.Helper()
	m := &overloadv3.OverloadManager{}
	if err := protojson.Unmarshal([]byte(text), m); err != nil {
		t.Fatal(err)
	}
	return New("overload_manager", m, Options{Stats: stats.NewStore(), Log: slog.New(slog.DiscardHandler), Connections: func() int64 { return 3 }})
}

func TestActions(t *testing.T) {
	m, err := manager(t, `{"resource_monitors": [`+heapMonitor+`], "actions": [
		{"name": "envoy.overload_actions.stop_accepting_requests", "triggers": [{"name": "heap", "threshold": {"value": 0.9}}]},
		{"name": "envoy.overload_actions.reject_incoming_connections", "triggers": [{"name": "heap", "scaled": {"scaling_threshold": 0.5, "saturation_threshold": 0.7}}]}]}`)
	if err != nil {
		t.Fatal(err)
	}
	pressure := 0.0
	m.monitors[0].pressure = func() (float64, error) { return pressure, nil }
	for _, c := range []struct {
		pressure      float64
		stops, always bool
	}{{0.4, false, false}, {0.8, false, true}, {0.9, true, true}, {0.2, false, false}} {
		pressure = c.pressure
		m.refresh()
		if m.StopsAcceptingRequests() != c.stops {
			t.Errorf("at %v requests are stopped: %v", c.pressure, !c.stops)
		}
		if got := m.RejectsConnection(); got != c.always {
			t.Errorf("at %v a connection is rejected: %v", c.pressure, got)
		}
	}
	pressure = 0.6
	m.refresh()
	if got := m.value(rejectIncomingConnections); got < 0.49 || got > 0.51 {
		t.Errorf("half-way the action's value is %v", got)
	}
	// What can't be measured stays as it was.
	m.monitors[0].pressure = func() (float64, error) { return 0, errors.New("no") }
	m.refresh()
	if got := m.value(rejectIncomingConnections); got < 0.49 || got > 0.51 {
		t.Errorf("after a failure the action's value is %v", got)
	}
}

func TestConnections(t *testing.T) {
	m, err := manager(t, `{"resource_monitors": [{"name": "c", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig", "max_active_downstream_connections": 6}}]}`)
	if err != nil {
		t.Fatal(err)
	}
	if got := m.MaxConnections(1); got != 6 {
		t.Errorf("limit %d", got)
	}
	if p, _ := m.monitors[0].pressure(); p != 0.5 {
		t.Errorf("pressure %v", p)
	}
	var none *Manager
	if none.MaxConnections(1) != 1 || none.StopsAcceptingConnections() || none.DisablesKeepAlive() {
		t.Error("no manager is never overloaded")
	}
}

func TestRefuses(t *testing.T) {
	action := func(name, trigger string) string {
		return `{"resource_monitors": [` + heapMonitor + `], "actions": [{"name": "` + name + `", "triggers": [` + trigger + `]}]}`
	}
	for text, want := range map[string]string{
		action("envoy.overload_actions.reduce_timeouts", ""):                                                                                                                                       `actions[0].name: weir has no overload action "envoy.overload_actions.reduce_timeouts"`,
		action("envoy.overload_actions.shrink_heap", `{"name": "cpu", "threshold": {}}`):                                                                                                           "triggers[0].name: unknown trigger resource cpu",
		action("envoy.overload_actions.shrink_heap", `{"name": "heap", "scaled": {"scaling_threshold": 0.5, "saturation_threshold": 0.5}}`):                                                        "scaling_threshold must be less",
		`{"resource_monitors": [` + heapMonitor + `,` + heapMonitor + `]}`:                                                                                                                         "duplicate resource monitor heap",
		`{"resource_monitors": [{"name": "x", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.resource_monitors.injected_resource.v3.InjectedResourceConfig", "filename": "x"}}]}`: `weir has no resource monitor "x"`,
		`{"loadshed_points": [{"name": "x", "triggers": [{"name": "y", "threshold": {}}]}]}`:                                                                                                       "weir does not support loadshed_points",
	} {
		if _, err := manager(t, text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

func TestHeap(t *testing.T) {
	if p, err := heap(1)(); err != nil || p <= 1 {
		t.Errorf("a heap of 1 byte is not full: %v, %v", p, err)
	}
}
