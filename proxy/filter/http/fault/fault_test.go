package fault_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weirproxy/weir/internal/filterrig"
	"github.com/weirproxy/weir/internal/httprig"
	"github.com/weirproxy/weir/proxy/filter/http/fault"
)

func TestAborts(t *testing.T) {
	always := "percentage: {numerator: 100}"
	runtime := map[string]uint64{"fault.http.abort.http_status": 500, "fault.http.cl.abort.abort_percent": 100}
	for name, c := range map[string]struct {
		config  string
		headers []string
		status  int // 200: reaches the upstream
		runtime map[string]uint64
	}{
		"always":               {"abort: {http_status: 503, " + always + "}", nil, 503, nil},
		"never":                {"abort: {http_status: 503}", nil, 200, nil},
		"another header":       {"abort: {http_status: 503, " + always + "}, headers: [{name: x, present_match: true}]", nil, 200, nil},
		"another node":         {"abort: {http_status: 503, " + always + "}, downstream_nodes: [node1]", nil, 200, nil},
		"this node":            {"abort: {http_status: 503, " + always + "}, downstream_nodes: [node1]", []string{"x-envoy-downstream-service-node", "node1"}, 503, nil},
		"another cluster":      {"abort: {http_status: 503, " + always + "}, upstream_cluster: x", nil, 200, nil},
		"this cluster":         {"abort: {http_status: 503, " + always + "}, upstream_cluster: u", nil, 503, nil},
		"status by runtime":    {"abort: {http_status: 503, " + always + "}", nil, 500, runtime},
		"client by runtime":    {"abort: {http_status: 503}", []string{"x-envoy-downstream-service-cluster", "cl"}, 500, runtime},
		"by header":            {"abort: {header_abort: {}, " + always + "}", []string{"x-envoy-fault-abort-request", "418"}, 418, nil},
		"by header, not asked": {"abort: {header_abort: {}, " + always + "}", nil, 200, nil},
		"by header, no share":  {"abort: {header_abort: {}, " + always + "}", []string{"x-envoy-fault-abort-request", "418", "x-envoy-fault-abort-request-percentage", "0"}, 200, nil},
	} {
		t.Run(name, func(t *testing.T) {
			o := httprig.Options{Runtime: func(key string, def uint64) uint64 {
				if v, ok := c.runtime[key]; ok {
					return v
				}
				return def
			}}
			r := filterrig.Start(t, o, "", filterrig.Filter("fault", fault.TypeURL, c.config))
			a := r.Get("/", c.headers...)
			if a.Status != c.status || a.Reached() != (c.status == 200) {
				t.Errorf("%+v, want %d", a, c.status)
			}
			if c.status != 200 {
				if a.Body != "fault filter abort" {
					t.Errorf("body %q", a.Body)
				}
				r.WantStat("http.in.fault.aborts_injected", "1")
				r.WantStat("http.in.fault.active_faults", "0")
			}
		})
	}
}

func TestDelay(t *testing.T) {
	r := filterrig.Start(t, httprig.Options{}, filterrig.Route("/off", "fault", fault.TypeURL, "")+", {match: {prefix: /}, route: {cluster: u}}",
		filterrig.Filter("fault", fault.TypeURL, "max_active_faults: 1, delay: {fixed_delay: 0.1s, percentage: {numerator: 100}}"))
	begin := time.Now()
	var wait sync.WaitGroup
	for range 2 {
		wait.Add(1)
		go func() {
			defer wait.Done()
			if a := r.Do("POST", "/", "hello"); !strings.HasSuffix(a.Body, "hello") {
				t.Errorf("%+v", a)
			}
		}()
	}
	wait.Wait()
	if took := time.Since(begin); took < 100*time.Millisecond {
		t.Errorf("no delay: %v", took)
	}
	r.Get("/off")
	r.WantStat("http.in.fault.delays_injected", "1") // the second one had no place
	r.WantStat("http.in.fault.faults_overflow", "1")
	r.WantStat("http.in.fault.active_faults", "0")
}

func TestSlowResponse(t *testing.T) {
	r := filterrig.Start(t, httprig.Options{}, "", filterrig.Filter("fault", fault.TypeURL, "response_rate_limit: {fixed_limit: {limit_kbps: 16}, percentage: {numerator: 100}}"))
	body := strings.Repeat("0123456789", 400)
	begin := time.Now()
	a := r.Do("POST", "/", body, "x-do", "mirror;trailer=x-t:v")
	if a.Body != body || time.Since(begin) < 150*time.Millisecond { // four slices of 1024 bytes
		t.Errorf("%d bytes in %v", len(a.Body), time.Since(begin))
	}
	r.WantStat("http.in.fault.response_rl_injected", "1")
}
