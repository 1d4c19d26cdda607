package lb

import (
	"fmt"
	"testing"
	"time"

	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/streaminfo"
	"github.com/weirproxy/weir/proxy/upstream/cluster"
	"github.com/weirproxy/weir/proxy/upstream/orca"
)

func TestClientWeights(t *testing.T) {
	hs := hosts(1, 1, 1)
	cfg := &ClientWeighted{Blackout: 10 * time.Second, Expiration: time.Minute, Penalty: 1, Metrics: []string{"named_metrics.q"}}
	w := cfg.New(Env{Info: &cluster.Info{}}).(*clientWeights)
	w.Factory(prioritySet(140, nil, hs...))
	start := cluster.Now()
	w.take(w.data[hs[0]], &orca.Report{CPU: 0.5, QPS: 100}, start)
	w.take(w.data[hs[1]], &orca.Report{CPU: 0.5, QPS: 100, Named: map[string]float64{"named_metrics.q": 0.1}}, start)
	weights := func(at time.Duration) string {
		w.reweigh(start + at)
		return fmt.Sprint(hs[0].Weight(), hs[1].Weight(), hs[2].Weight())
	}
	for _, tt := range []struct {
		at   time.Duration
		want string
	}{
		{5 * time.Second, "1 1 1"}, // blackout
		{11 * time.Second, "200 1000 600"},
		{2 * time.Minute, "1 1 1"}, // expired
	} {
		if got := weights(tt.at); got != tt.want {
			t.Errorf("after %v: %s, want %s", tt.at, got, tt.want)
		}
	}
	for _, tt := range []struct {
		r    orca.Report
		want uint32
	}{
		{orca.Report{CPU: 0.5, Application: 0.25, QPS: 100}, 400}, {orca.Report{CPU: 0.5, QPS: 100, EPS: 50}, 100},
		{orca.Report{CPU: 0.5}, 0}, {orca.Report{QPS: 100}, 0},
	} {
		if got, _ := cfg.weigh(&tt.r); got != tt.want {
			t.Errorf("%+v weighs %d, want %d", tt.r, got, tt.want)
		}
	}
}

// request is one that a router would send.
type request struct {
	NoContext
	h    http.HeaderMap
	info streaminfo.Info
}

func (r *request) RequestHeaders() *http.HeaderMap { return &r.h }
func (r *request) StreamInfo() *streaminfo.Info    { return &r.info }

func TestOverrideHost(t *testing.T) {
	set := prioritySet(140, nil, hosts(1, 1, 1)...)
	o := &OverrideHost{
		Sources:  []HostSource{{Header: "x-to"}, {Metadata: &MetadataPath{"ns", []string{"a", "b"}}}},
		Selected: &MetadataPath{"out", []string{"host"}}, Fallback: RoundRobin{},
	}
	b := balancer(o, &cluster.Stats{}, set)
	r := &request{}
	r.h.AddName("x-to", "10.9.9.9:80, 10.0.0.2:80,10.0.0.3:80")
	r.info.Metadata = map[string]map[string]any{"ns": {"a": map[string]any{"b": "10.0.0.1:80"}}}
	for attempt, want := range []string{"10.0.0.2:80", "10.0.0.3:80", "10.0.0.1:80"} {
		r.info.AttemptCount = attempt + 1
		if h := b.Choose(r); h.Address.String() != want || r.info.Metadata["out"]["host"] != want {
			t.Errorf("attempt %d: %v, noted %v, want %s", attempt+1, h.Address, r.info.Metadata["out"], want)
		}
	}
	r.info.AttemptCount = 4
	if h := b.Choose(r); h == nil {
		t.Error("no host after the list")
	}
	if h := b.Choose(NoContext{}); h == nil {
		t.Error("no host for a connection")
	}
}
