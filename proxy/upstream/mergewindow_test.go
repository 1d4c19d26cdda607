package upstream

import (
	"testing"
	"time"

	"github.com/weirproxy/weir/proxy/upstream/cluster"
)

// TestMergeWindow: of changes of health the first reaches workers at once, and
// those of the window after it when it ends.
func TestMergeWindow(t *testing.T) {
	r := newRig(t, nil)
	r.mustAdd(`{name: a, common_lb_config: {update_merge_window: 1s, healthy_panic_threshold: {value: 0}}, load_assignment: {cluster_name: a, endpoints: [{lb_endpoints: [
		{endpoint: {address: {socket_address: {address: 10.0.0.1, port_value: 80}}}}]}]}}`)
	change := func(on bool) {
		r.on(0, func() {
			c := r.m.active["a"]
			for h := range c.hosts.All {
				h.SetHealth(cluster.FailedActiveHC, on)
			}
			c.healthChanged()
		})
		r.on(0, func() {}) // what was posted is done
	}
	healthy := func() (n int) {
		r.see("a", func(c *Cluster) { n = len(c.Hosts().Sets[0].Healthy) })
		return n
	}
	change(true)
	if n := healthy(); n != 0 {
		t.Errorf("the first change did not arrive: %d healthy hosts", n)
	}
	change(false)
	if n := healthy(); n != 0 {
		t.Errorf("the second change arrived before the window's end: %d healthy hosts", n)
	}
	for begun := time.Now(); healthy() == 0; time.Sleep(time.Millisecond) {
		if time.Since(begun) > 10*time.Second {
			t.Fatal("the second change never arrived")
		}
	}
	r.on(0, func() {
		if s := r.m.stats; s.ClusterUpdatedViaMerge.Value() != 1 || s.UpdateOutOfMergeWindow.Value() != 1 {
			t.Errorf("%d updates merged, %d out of the window", s.ClusterUpdatedViaMerge.Value(), s.UpdateOutOfMergeWindow.Value())
		}
	})
}
