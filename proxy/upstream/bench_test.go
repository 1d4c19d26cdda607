package upstream

import (
	"fmt"
	"testing"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"

	"github.com/weirproxy/weir/proxy/upstream/lb"
)

// BenchmarkAddCluster is what each cluster of a large configuration costs,
// though nobody uses it.
func BenchmarkAddCluster(b *testing.B) {
	r := newRig(b, nil)
	cs := make([]*clusterv3.Cluster, b.N)
	for i := range cs {
		cs[i] = &clusterv3.Cluster{}
		parse(b, fmt.Sprintf(`{name: c%d, connect_timeout: 1s, load_assignment: {cluster_name: c%d, %s}}`, i, i, one("1")), cs[i])
	}
	b.ReportAllocs()
	b.ResetTimer()
	r.on(0, func() {
		for _, c := range cs {
			if _, err := r.m.AddOrUpdate("clusters", c, "", true); err != nil {
				b.Error(err)
			}
		}
	})
}

func BenchmarkChooseHost(b *testing.B) {
	for _, policy := range []string{"ROUND_ROBIN", "LEAST_REQUEST", "RANDOM"} {
		b.Run(policy, func(b *testing.B) {
			r := newRig(b, nil)
			r.mustAdd(`{name: c, lb_policy: ` + policy + `, load_assignment: {cluster_name: c, ` + one("1", "2", "3", "4") + `}}`)
			b.ReportAllocs()
			r.on(1, func() {
				for b.Loop() {
					c := r.m.Table(0).Get("c")
					if c.HTTPPool(c.ChooseHost(lb.NoContext{}), 0, nil, "") == nil {
						b.Fatal("no pool")
					}
				}
			})
		})
	}
}
