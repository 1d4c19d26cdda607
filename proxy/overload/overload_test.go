package overload

import (
	"errors"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	overloadv3 "github.com/envoyproxy/go-control-plane/envoy/config/overload/v3"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/weirproxy/weir/proxy/stats"
)

const heapMonitor = `{"name": "heap", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.resource_monitors.fixed_heap.v3.FixedHeapConfig", "max_heap_size_bytes": 1000}}`

func manager(t *testing.T, text string) (*Manager, error) {
	t.Helper()
	m := &overloadv3.OverloadManager{}
	if err := protojson.Unmarshal([]byte(text), m); err != nil {
		t.Fatal(err)
	}
	return New("overload_manager", m, Options{Stats: stats.NewStore(here{}), Log: slog.New(slog.DiscardHandler), Post: here{}.Post, Connections: func() int64 { return 3 }})
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
		action("envoy.overload_actions.reduce_timeouts", ""):                                                                                                                      `actions[0].typed_config: reduce_timeouts needs a ScaleTimersOverloadActionConfig`,
		action("envoy.overload_actions.reset_high_memory_stream", ""):                                                                                                             `actions[0].name: weir has no overload action "envoy.overload_actions.reset_high_memory_stream"`,
		action("envoy.overload_actions.shrink_heap", `{"name": "cpu", "threshold": {}}`):                                                                                          "triggers[0].name: unknown trigger resource cpu",
		action("envoy.overload_actions.shrink_heap", `{"name": "heap", "scaled": {"scaling_threshold": 0.5, "saturation_threshold": 0.5}}`):                                       "scaling_threshold must be less",
		`{"resource_monitors": [` + heapMonitor + `,` + heapMonitor + `]}`:                                                                                                        "duplicate resource monitor heap",
		`{"resource_monitors": [{"name": "x", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.resource_monitors.injected_resource.v3.InjectedResourceConfig"}}]}`: `resource_monitors[0].typed_config.filename: value length must be at least 1 runes`,
		`{"loadshed_points": [{"name": "x", "triggers": [{"name": "y", "threshold": {}}]}]}`:                                                                                      `loadshed_points[0].name: weir has no load shed point "x"`,
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

func TestShedding(t *testing.T) {
	file := filepath.Join(t.TempDir(), "p")
	m, err := manager(t, `{"resource_monitors": [{"name": "r", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.resource_monitors.injected_resource.v3.InjectedResourceConfig", "filename": "`+file+`"}}],
		"loadshed_points": [{"name": "envoy.load_shed_points.http_connection_manager_decode_headers", "triggers": [{"name": "r", "threshold": {"value": 0.9}}]}]}`)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		content string
		sheds   bool
	}{{"0.5", false}, {"0.95\n", true}, {"2", true}, {"", true}, {"0", false}} { // what can't be read changes nothing
		if err := os.WriteFile(file, []byte(tt.content), 0o600); err != nil {
			t.Fatal(err)
		}
		m.refresh()
		if m.StopsAcceptingRequests() != tt.sheds {
			t.Errorf("with %q a request is shed: %v", tt.content, !tt.sheds)
		}
		if m.Sheds(CreatingCodec) {
			t.Error("a point that is not configured sheds")
		}
	}
}

func TestReducedTimeouts(t *testing.T) {
	m, err := manager(t, `{"resource_monitors": [`+heapMonitor+`], "actions": [{"name": "envoy.overload_actions.reduce_timeouts",
		"triggers": [{"name": "heap", "scaled": {"scaling_threshold": 0.5, "saturation_threshold": 0.7}}],
		"typed_config": {"@type": "type.googleapis.com/envoy.config.overload.v3.ScaleTimersOverloadActionConfig", "timer_scale_factors": [
			{"timer": "HTTP_DOWNSTREAM_CONNECTION_IDLE", "min_timeout": "2s"}, {"timer": "HTTP_DOWNSTREAM_STREAM_IDLE", "min_scale": {"value": 10}}]}}]}`)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ pressure, connection, stream, most float64 }{{0, 10, 10, 10}, {0.6, 6, 5.5, 10}, {1, 2, 1, 10}} {
		m.monitors[0].pressure = func() (float64, error) { return tt.pressure, nil }
		m.refresh()
		for kind, want := range map[Timeout]float64{ConnectionIdle: tt.connection, StreamIdle: tt.stream, ConnectionMax: tt.most} {
			if got := m.Reduced(kind, 10*time.Second).Seconds(); math.Abs(got-want) > 0.01 {
				t.Errorf("at %v kind %v is %v s, want %v", tt.pressure, kind, got, want)
			}
		}
	}
	if got := m.Reduced(ConnectionIdle, time.Second); got != time.Second {
		t.Errorf("a timeout below the least became %v", got)
	}
}

func TestCPU(t *testing.T) {
	work, total := 0.0, 0.0
	c := &cpu{times: func() (float64, float64, error) { return work, total, nil }}
	c.pressure()
	for range 200 {
		work, total = work+3, total+4
		c.pressure()
	}
	if p, err := c.pressure(); err == nil || p != 0 {
		t.Errorf("no time has passed: %v, %v", p, err)
	}
	if math.Abs(c.utilization-0.75) > 0.01 {
		t.Errorf("three quarters of the time come to %v", c.utilization)
	}
	for _, times := range []func() (float64, float64, error){hostTimes, containerTimes} {
		if work, total, err := times(); err == nil && (work <= 0 || total < work/1e3) {
			t.Errorf("%v of %v", work, total)
		}
	}
}

// here is a loop that does at once what it is given.
type here struct{}

func (here) Post(f func()) { f() }
