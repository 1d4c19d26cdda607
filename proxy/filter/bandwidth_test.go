package filter_test

import (
	"strings"
	"testing"
	"time"

	"github.com/weirproxy/weir/internal/filterrig"
	"github.com/weirproxy/weir/internal/httprig"
	"github.com/weirproxy/weir/proxy/filter/http/bandwidthlimit"
)

// TestBandwidthLimit: what exceeds the first second's bytes waits; trailers
// come behind.
func TestBandwidthLimit(t *testing.T) {
	for _, mode := range []string{"REQUEST", "RESPONSE"} {
		r := filterrig.Start(t, httprig.Options{}, filterrig.Route("/off", "b", bandwidthlimit.TypeURL, "stat_prefix: none, limit_kbps: 1")+", {match: {prefix: /}, route: {cluster: u}}",
			filterrig.Filter("b", bandwidthlimit.TypeURL, "stat_prefix: p, limit_kbps: 10, enable_mode: "+mode))
		body := strings.Repeat("0123456789", 1200)
		begin := time.Now()
		if a := r.Do("POST", "/", body, "x-do", "mirror;trailer=x-t:v"); a.Body != body {
			t.Errorf("%s: %d bytes of %d", mode, len(a.Body), len(body))
		}
		if took := time.Since(begin); took < 100*time.Millisecond {
			t.Errorf("%s: only %v", mode, took)
		}
		if a := r.Do("POST", "/off", body, "x-do", "mirror"); a.Body != body {
			t.Errorf("%s: off: %d bytes", mode, len(a.Body))
		}
		name := "p.http_bandwidth_limit." + strings.ToLower(mode) + "_"
		r.WantStat(name+"allowed_total_size", "12000")
		r.WantStat(name+"pending", "0")
	}
	filterrig.WantRefused(t, "limit_kbps", "", filterrig.Filter("b", bandwidthlimit.TypeURL, "stat_prefix: p, enable_mode: REQUEST"))
}
