package lb_test

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/cespare/xxhash/v2"
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/stats"
	"github.com/weirproxy/weir/proxy/upstream"
	"github.com/weirproxy/weir/proxy/upstream/cluster"
	"github.com/weirproxy/weir/proxy/upstream/lb"
)

// user is a request whose hash policy is a header.
type user struct {
	lb.NoContext
	name   string
	retry  int
	reject string
}

func (u user) HashKey() (uint64, bool) { return xxhash.Sum64String(u.name), true }

// TestConsistentHashingIsEnvoys compares with testdata/consistent.json, where
// "picks" are the last digits of the ports that Envoy 1.40 sent the header
// values user0, user1, … to, "-" where it had no host.
func TestConsistentHashingIsEnvoys(t *testing.T) {
	raw, err := os.ReadFile("testdata/consistent.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Name, Picks string
		Cluster     json.RawMessage
		Stats       map[string]int64
	}
	if err := json.Unmarshal(raw, &cases); err != nil {
		t.Fatal(err)
	}
	for i, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			m := newManager(t)
			proto := &clusterv3.Cluster{}
			if err := protojson.Unmarshal(c.Cluster, proto); err != nil {
				t.Fatal(err)
			}
			proto.Name = fmt.Sprint("c", i)
			proto.LoadAssignment.ClusterName = proto.Name
			if _, err := m.AddOrUpdate("cluster", proto, "", true); err != nil {
				t.Fatal(err)
			}
			worker := m.Table(0)
			worker.Loop().Post(worker.Loop().Exit)
			worker.Loop().Run()
			var got strings.Builder
			for u := range len(c.Picks) {
				if h := worker.Get(proto.Name).ChooseHost(user{name: fmt.Sprint("user", u)}); h != nil {
					fmt.Fprint(&got, h.Address.Port()%10)
				} else {
					got.WriteByte('-')
				}
			}
			if got.String() != c.Picks {
				t.Errorf("picked\n%s, Envoy\n%s", got.String(), c.Picks)
			}
		})
	}
}

// newManager is a manager with one worker; both loops stand still.
func newManager(t *testing.T) *upstream.Manager {
	t.Helper()
	var loops []*network.Loop
	var owners []stats.Owner
	for i := range 2 {
		l, err := network.NewLoop(fmt.Sprint("loop", i), i)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(l.Close)
		loops, owners = append(loops, l), append(owners, l)
	}
	return upstream.NewManager(upstream.Options{Main: loops[0], Workers: loops[1:], Stats: stats.NewStore(owners...)})
}

func (u user) HostSelectionRetryCount() int { return u.retry }

func (u user) ShouldSelectAnotherHost(h *cluster.Host) bool {
	return u.reject != "" && h.Address.String() == u.reject
}

func hashHosts(n int) *cluster.PrioritySet {
	var hs []*cluster.Host
	for i := range n {
		hs = append(hs, cluster.NewHost(network.IPAddress(netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(i + 1)}), 80)), "", 1, nil, 1))
	}
	return cluster.NewPrioritySet([]*cluster.HostSet{cluster.NewHostSet(hs, nil, cluster.DefaultOverprovisioning)}, 50)
}

func hashPolicies(factor uint32) []lb.Policy {
	c := lb.Consistent{BalanceFactor: factor}
	return []lb.Policy{lb.RingHash{Consistent: c, MinSize: 1024, MaxSize: 8 << 20}, lb.Maglev{Consistent: c, TableSize: 65537}}
}

func TestAnotherHostForRetries(t *testing.T) {
	for _, p := range hashPolicies(0) {
		b := p.New(lb.Env{Info: &cluster.Info{}}).Factory(hashHosts(3)).New(&cluster.Stats{})
		first := b.Choose(user{name: "ann"})
		if again := b.Choose(user{name: "ann", retry: 10, reject: first.Address.String()}); again == first {
			t.Errorf("%s: the host that was refused was picked again", p.Name())
		}
		if again := b.Choose(user{name: "ann"}); again != first {
			t.Errorf("%s: the same hash went to another host", p.Name())
		}
	}
}

func TestBoundedLoad(t *testing.T) {
	info := &cluster.Info{Resources: new([cluster.NumPriorities]cluster.Resources)}
	for _, p := range hashPolicies(150) {
		hosts := hashHosts(4)
		b := p.New(lb.Env{Info: info}).Factory(hosts).New(&cluster.Stats{})
		first := b.Choose(user{name: "ann"})
		first.Active.Store(10)
		second := b.Choose(user{name: "ann"})
		if second == first || b.Choose(user{name: "ann"}) != second {
			t.Errorf("%s: the overloaded host was picked, or not the same one instead of it", p.Name())
		}
		for h := range hosts.All {
			h.Active.Store(9)
		}
		second.Active.Store(8)
		if got := b.Choose(user{name: "ann"}); got != second {
			t.Errorf("%s: not the least loaded host, when all have too much", p.Name())
		}
		var ctx lb.Context = user{name: "ann"}
		if n := testing.AllocsPerRun(100, func() { b.Choose(ctx) }); n != 0 {
			t.Errorf("%s: %v allocations", p.Name(), n)
		}
	}
}
