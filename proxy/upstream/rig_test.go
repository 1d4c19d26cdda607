package upstream

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"sigs.k8s.io/yaml"

	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/stats"
	"github.com/weirproxy/weir/proxy/upstream/dns"
	"github.com/weirproxy/weir/proxy/upstream/lb"
)

// rig is a manager with two workers, all of them running.
type rig struct {
	t     testing.TB
	m     *Manager
	loops []*network.Loop // main, then the workers
	eds   *fakeEDS
	dns   *fakeDNS
}

func newRig(t testing.TB, guard DestinationGuard) *rig {
	t.Helper()
	r := &rig{t: t, eds: &fakeEDS{subscribed: map[string]int{}}, dns: &fakeDNS{}}
	var owners []stats.Owner
	for i := range 3 {
		l, err := network.NewLoop(fmt.Sprintf("loop%d", i), i)
		if err != nil {
			t.Fatal(err)
		}
		r.loops, owners = append(r.loops, l), append(owners, l)
	}
	r.m = NewManager(Options{Main: r.loops[0], Workers: r.loops[1:], Stats: stats.NewStore(owners...), Endpoints: r.eds, Resolver: r.dns, Guard: guard})
	for _, l := range r.loops {
		done := make(chan struct{})
		go func() { l.Run(); close(done) }()
		t.Cleanup(func() { l.Exit(); <-done; l.Close() })
	}
	return r
}

// on runs f on a loop: 0 is main.
func (r *rig) on(loop int, f func()) {
	r.t.Helper()
	done := make(chan struct{})
	r.loops[loop].Post(func() { f(); close(done) })
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		r.t.Fatalf("loop %d did not answer", loop)
	}
}

func (r *rig) add(yml string) error {
	r.t.Helper()
	c := &clusterv3.Cluster{}
	parse(r.t, yml, c)
	var err error
	r.on(0, func() { _, err = r.m.AddOrUpdate("cluster", c, "1", false) })
	return err
}

func (r *rig) mustAdd(yml string) {
	r.t.Helper()
	if err := r.add(yml); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) endpoints(service, yml string) {
	r.t.Helper()
	a := &endpointv3.ClusterLoadAssignment{}
	parse(r.t, yml, a)
	var err error
	r.on(0, func() { err = r.m.UpdateEndpoints(service, "", a) })
	if err != nil {
		r.t.Fatal(err)
	}
}

func parse(t testing.TB, yml string, m proto.Message) {
	t.Helper()
	j, err := yaml.YAMLToJSON([]byte(yml))
	if err == nil {
		err = protojson.Unmarshal(j, m)
	}
	if err != nil {
		t.Fatalf("%v in %s", err, yml)
	}
}

// see gives f the cluster on both workers; nil when there is none.
func (r *rig) see(name string, f func(*Cluster)) {
	r.t.Helper()
	for i := range 2 {
		r.on(i+1, func() { f(r.m.Table(i).Get(name)) })
	}
}

// hosts are the addresses that both workers see.
func (r *rig) hosts(name string) string {
	r.t.Helper()
	var got []string
	r.see(name, func(c *Cluster) {
		if c == nil {
			got = append(got, "none")
			return
		}
		var hs []string
		for h := range c.Hosts().All {
			hs = append(hs, strings.TrimPrefix(h.Address.String(), "10.0.0."))
		}
		got = append(got, strings.Join(hs, " "))
	})
	if got[0] != got[1] {
		r.t.Errorf("%s: the workers differ: %q and %q", name, got[0], got[1])
	}
	return got[0]
}

func (r *rig) wantHosts(name, want string) {
	r.t.Helper()
	if got := r.hosts(name); got != want {
		r.t.Errorf("%s has hosts %q, want %q", name, got, want)
	}
}

func (r *rig) stats(name string) (s *endpointStats) {
	r.t.Helper()
	r.on(0, func() {
		if c := r.m.newest(name); c != nil {
			copied := *c.stats
			s = &copied
		}
	})
	return s
}

type fakeEDS struct {
	subscribed map[string]int
	fail       error
}

func (f *fakeEDS) Subscribe(service string, _ *corev3.ConfigSource) (func(), error) {
	if f.fail != nil {
		return nil, f.fail
	}
	f.subscribed[service]++
	return func() { f.subscribed[service]-- }, nil
}

// fakeDNS answers by hand, on main.
type fakeDNS struct {
	asked []string
	done  []func(dns.Answer)
}

func (f *fakeDNS) Lookup(_ context.Context, _ *dns.Config, name string, _ dns.Family, done func(dns.Answer)) {
	f.asked, f.done = append(f.asked, name), append(f.done, done)
}

// answer answers the oldest question: with an error when addrs is "".
func (r *rig) answer(addrs string) {
	r.t.Helper()
	r.on(0, func() {
		if len(r.dns.done) == 0 {
			r.t.Fatal("no question to answer")
		}
		done := r.dns.done[0]
		r.dns.done, r.dns.asked = r.dns.done[1:], r.dns.asked[1:]
		a := dns.Answer{TTL: time.Minute}
		for _, s := range strings.Fields(addrs) {
			a.Addrs = append(a.Addrs, netip.MustParseAddr(s))
		}
		if len(a.Addrs) == 0 {
			a.Err = errors.New("no answer")
		}
		done(a)
	})
	r.on(0, func() {}) // the answer itself was posted
}

// fromConn is a context of a downstream connection.
type fromConn struct {
	lb.NoContext
	conn *network.Connection
}

func (f fromConn) DownstreamConnection() *network.Connection { return f.conn }
