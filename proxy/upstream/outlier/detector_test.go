package outlier

import (
	"encoding/json"
	"net/netip"
	"strings"
	"testing"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/stats"
	"github.com/weirproxy/weir/proxy/upstream/cluster"
)

// rig is a detector whose main loop runs by hand.
type rig struct {
	*Detector
	loop  *network.Loop
	hosts []*cluster.Host
	log   []string
}

func newRig(t *testing.T, hosts int, cfg string) *rig {
	t.Helper()
	m := &clusterv3.OutlierDetection{}
	if err := protojson.Unmarshal([]byte(cfg), m); err != nil {
		t.Fatal(err)
	}
	c, err := FromConfig("outlier_detection", m)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{}
	if r.loop, err = network.NewLoop("main", 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.loop.Close)
	info := &cluster.Info{Name: "c", StatName: "c", Store: stats.NewStore(r.loop)}
	r.Detector = New(Options{Main: r.loop, Owners: 2, Info: info, Changed: func() {}, Ejected: func(*cluster.Host) {}, Log: func(l []byte) { r.log = append(r.log, string(l)) }}, c)
	for i := range hosts {
		r.hosts = append(r.hosts, cluster.NewHost(network.IPAddress(netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(i + 1)}), 80)), "", 1, nil, 2))
	}
	r.Update(r.hosts, nil)
	return r
}

// run lets main take what workers have reported.
func (r *rig) run() {
	r.loop.Post(r.loop.Exit)
	r.loop.Run()
}

func (r *rig) out(i int) bool { return r.hosts[i].Health()&cluster.FailedOutlierCheck != 0 }

func times(n int, f func()) {
	for range n {
		f()
	}
}

func TestConsecutiveErrors(t *testing.T) {
	for name, tt := range map[string]struct {
		cfg    string
		happen func(m *cluster.Monitor)
		want   bool
	}{
		"five 5xx": {`{"maxEjectionPercent": 100}`, func(m *cluster.Monitor) { times(5, func() { m.Response(1, 500) }) }, true},
		"a success between": {`{"maxEjectionPercent": 100}`, func(m *cluster.Monitor) {
			times(4, func() { m.Response(1, 500) })
			m.Response(1, 200)
			m.Response(1, 500)
		}, false},
		"resets count as 5xx":        {`{"maxEjectionPercent": 100}`, func(m *cluster.Monitor) { times(5, func() { m.Failed(1) }) }, true},
		"gateway, not enforced":      {`{"maxEjectionPercent": 100, "consecutive5xx": 99}`, func(m *cluster.Monitor) { times(5, func() { m.Response(1, 503) }) }, false},
		"gateway, enforced":          {`{"maxEjectionPercent": 100, "consecutive5xx": 99, "enforcingConsecutiveGatewayFailure": 100}`, func(m *cluster.Monitor) { times(5, func() { m.TimedOut(1, 504) }) }, true},
		"500 is no gateway error":    {`{"maxEjectionPercent": 100, "consecutive5xx": 99, "enforcingConsecutiveGatewayFailure": 100}`, func(m *cluster.Monitor) { times(5, func() { m.Response(1, 500) }) }, false},
		"split: resets are local":    {`{"maxEjectionPercent": 100, "splitExternalLocalOriginErrors": true, "consecutive5xx": 1}`, func(m *cluster.Monitor) { times(4, func() { m.Failed(1) }) }, false},
		"split: five local":          {`{"maxEjectionPercent": 100, "splitExternalLocalOriginErrors": true}`, func(m *cluster.Monitor) { times(5, func() { m.TimedOut(1, 504) }) }, true},
		"split: a connection resets": {`{"maxEjectionPercent": 100, "splitExternalLocalOriginErrors": true}`, func(m *cluster.Monitor) { times(4, func() { m.Failed(1) }); m.Connected(1, false); m.Failed(1) }, false},
		"TCP connects reset":         {`{"maxEjectionPercent": 100}`, func(m *cluster.Monitor) { times(4, func() { m.Failed(1) }); m.Connected(1, true); m.Failed(1) }, false},
		"too many would be out":      {`{"maxEjectionPercent": 49}`, func(m *cluster.Monitor) { times(5, func() { m.Response(1, 500) }) }, false},
		"always one":                 {`{"maxEjectionPercent": 0, "alwaysEjectOneHost": true}`, func(m *cluster.Monitor) { times(5, func() { m.Response(1, 500) }) }, true},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, 2, tt.cfg)
			tt.happen(r.hosts[0].Monitor())
			r.run()
			if r.out(0) != tt.want || r.out(1) {
				t.Errorf("ejected: %v, %v", r.out(0), r.out(1))
			}
		})
	}
}

func TestEjectionEndsAndGrows(t *testing.T) {
	r := newRig(t, 1, `{"maxEjectionPercent": 100, "baseEjectionTime": "30s", "interval": "10s", "maxEjectionTime": "50s"}`)
	start := cluster.Now()
	fail := func() { times(5, func() { r.hosts[0].Monitor().Response(1, 500) }); r.run() }
	fail()
	r.tick(start + 29*time.Second)
	if !r.out(0) || r.stats.Active.Value() != 1 {
		t.Fatal("let in before base_ejection_time")
	}
	back := start + 31*time.Second
	r.tick(back)
	if r.out(0) || r.stats.Active.Value() != 0 {
		t.Fatal("not let in after base_ejection_time")
	}
	fail()
	if !r.out(0) || r.order[0].backOff != 2 {
		t.Fatalf("ejected %v, back-off %d", r.out(0), r.order[0].backOff)
	}
	if r.tick(r.order[0].ejected + 49*time.Second); !r.out(0) {
		t.Error("let in before max_ejection_time")
	}
	if r.tick(r.order[0].ejected + 51*time.Second); r.out(0) {
		t.Error("not let in after max_ejection_time")
	}
	if r.tick(r.order[0].unejected + 11*time.Second); r.order[0].backOff != 1 {
		t.Errorf("back-off %d after an interval in health", r.order[0].backOff)
	}
	var e map[string]any
	if err := json.Unmarshal([]byte(r.log[0]), &e); err != nil || len(r.log) != 4 || e["type"] != "CONSECUTIVE_5XX" || e["action"] != "EJECT" || e["enforced"] != true || e["upstream_url"] != "10.0.0.1:80" {
		t.Errorf("log: %s", strings.Join(r.log, ""))
	}
}

func TestSuccessRateAndFailurePercentage(t *testing.T) {
	r := newRig(t, 5, `{"maxEjectionPercent": 100, "enforcingFailurePercentage": 100, "consecutive5xx": 1000, "successRateStdevFactor": 1000}`)
	for i, h := range r.hosts {
		for n := range 100 {
			code := 200
			if i == 0 && n < 50 || i == 1 && n < 10 {
				code = 500
			}
			h.Monitor().Response(1, code)
		}
	}
	r.tick(cluster.Now())
	if !r.out(0) || r.out(1) {
		t.Errorf("ejected %v and %v", r.out(0), r.out(1))
	}
	if a := r.Rates(cluster.ExternalOrigin); a.Average != 88 || a.Threshold > 69 || a.Threshold < 68 || r.HostRate(r.hosts[0], cluster.ExternalOrigin) != 50 {
		t.Errorf("%+v, host %v", a, r.HostRate(r.hosts[0], cluster.ExternalOrigin))
	}
	for _, h := range r.hosts {
		for n := range 50 {
			code := 200
			if h == r.hosts[2] && n < 45 {
				code = 503
			}
			h.Monitor().Response(1, code)
		}
	}
	r.cfg.FailureHosts = 4
	r.tick(cluster.Now())
	if !r.out(2) || r.stats.Enforced.FailurePercentage.Value() != 1 {
		t.Errorf("a host with 90%% failures stayed: %+v", r.stats)
	}
	r.Update(nil, r.hosts[:3])
	if r.stats.Active.Value() != 0 || len(r.order) != 2 {
		t.Errorf("after the hosts have gone %d are ejected, of %d", r.stats.Active.Value(), len(r.order))
	}
}

func TestActiveHealthCheckLetsIn(t *testing.T) {
	r := newRig(t, 1, `{"maxEjectionPercent": 100}`)
	times(5, func() { r.hosts[0].Monitor().Response(1, 500) })
	r.run()
	r.hosts[0].SetHealth(cluster.FailedActiveHC, true)
	if r.Passed(r.hosts[0]); !r.out(0) {
		t.Error("let in while active health checks fail")
	}
	r.hosts[0].SetHealth(cluster.FailedActiveHC, false)
	if r.Passed(r.hosts[0]); r.out(0) {
		t.Error("a passed health check did not let the host in")
	}
}

func TestDegraded(t *testing.T) {
	r := newRig(t, 2, `{"detectDegradedHosts": true, "baseEjectionTime": "30s", "interval": "10s", "maxEjectionTime": "50s"}`)
	degraded := func(i int) bool { return r.hosts[i].Health()&cluster.DegradedOutlierDetection != 0 }
	start := cluster.Now()
	times(3, func() { r.hosts[0].Monitor().SaysDegraded() })
	r.run()
	if !degraded(0) || degraded(1) || r.out(0) {
		t.Errorf("degraded: %v, %v; ejected: %v", degraded(0), degraded(1), r.out(0))
	}
	if n := r.stats.Degradation.Value(); n != 1 {
		t.Errorf("counted %d times", n)
	}
	r.tick(start + 20*time.Second)
	if !degraded(0) {
		t.Error("it was over after 20 s")
	}
	r.tick(start + 31*time.Second)
	if degraded(0) {
		t.Error("it was not over after 31 s")
	}
	r.hosts[0].Monitor().SaysDegraded()
	r.run()
	r.tick(cluster.Now() + 40*time.Second)
	if !degraded(0) {
		t.Error("the second time was over after 40 s")
	}

	off := newRig(t, 1, `{}`)
	off.hosts[0].Monitor().SaysDegraded()
	off.run()
	if off.hosts[0].Health() != 0 {
		t.Error("nobody asked to heed what responses say")
	}
}
