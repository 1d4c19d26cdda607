package upstream

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/streaminfo"
	"github.com/weirproxy/weir/proxy/upstream/cluster"
	"github.com/weirproxy/weir/proxy/upstream/lb"
	"github.com/weirproxy/weir/proxy/upstream/pool"
)

const edsCluster = `{name: e, type: EDS, eds_cluster_config: {service_name: s, eds_config: {ads: {}}}}`

// one is an assignment of one locality with endpoints 10.0.0.N:80.
func one(ns ...string) string {
	var b strings.Builder
	b.WriteString("endpoints: [{lb_endpoints: [")
	for _, n := range ns {
		b.WriteString("{endpoint: {address: {socket_address: {address: 10.0.0." + n + ", port_value: 80}}}},")
	}
	b.WriteString("]}]")
	return b.String()
}

func TestStaticClusterIsThereAtOnce(t *testing.T) {
	r := newRig(t, nil)
	r.mustAdd(`{name: a, load_assignment: {cluster_name: a, ` + one("1", "2") + `}}`)
	r.wantHosts("a", "1:80 2:80")
	r.wantHosts("b", "none")
	s := r.stats("a")
	if s.MembershipTotal.Value() != 2 || s.MembershipHealthy.Value() != 2 || s.MembershipChange.Value() != 1 {
		t.Errorf("membership: total %d, healthy %d, changes %d", s.MembershipTotal.Value(), s.MembershipHealthy.Value(), s.MembershipChange.Value())
	}
}

func TestEDSClusterWarms(t *testing.T) {
	r := newRig(t, nil)
	ready := false
	r.mustAdd(edsCluster)
	r.on(0, func() { r.m.EndStatic(); r.m.OnInitialized(func() { ready = true }) })
	r.wantHosts("e", "none")
	r.endpoints("s", one("1", "2"))
	r.wantHosts("e", "1:80 2:80")
	r.on(0, func() {
		if !ready {
			t.Error("not initialised though all clusters are warm")
		}
	})
	r.endpoints("s", one("2", "3"))
	r.wantHosts("e", "2:80 3:80")
	r.endpoints("s", one("2", "3"))
	if s := r.stats("e"); s.MembershipChange.Value() != 2 || s.UpdateSuccess.Value() != 3 || s.UpdateNoRebuild.Value() != 1 {
		t.Errorf("changes %d, updates %d, without rebuild %d", s.MembershipChange.Value(), s.UpdateSuccess.Value(), s.UpdateNoRebuild.Value())
	}
}

func TestEDSTimeout(t *testing.T) {
	r := newRig(t, nil)
	r.mustAdd(edsCluster)
	r.on(0, func() { r.m.EndpointsTimedOut("s") })
	r.wantHosts("e", "")
	r.endpoints("s", one("1"))
	r.wantHosts("e", "1:80")
}

func TestStaleEndpointsGo(t *testing.T) {
	r := newRig(t, nil)
	r.mustAdd(edsCluster)
	r.endpoints("s", one("1")+"\npolicy: {endpoint_stale_after: 0.001s}")
	for r.stats("e").AssignmentStale.Value() == 0 {
	}
	r.wantHosts("e", "")
	if s := r.stats("e"); s.AssignmentTimeout.Value() != 1 {
		t.Errorf("%d assignments with a timeout", s.AssignmentTimeout.Value())
	}
	r.endpoints("s", one("2"))
	r.wantHosts("e", "2:80")
}

func TestHostsKeepTheirIdentity(t *testing.T) {
	r := newRig(t, nil)
	r.mustAdd(edsCluster)
	r.endpoints("s", one("1", "2"))
	hosts := func() (hs []*cluster.Host) {
		r.see("e", func(c *Cluster) {
			hs = nil
			for h := range c.Hosts().All {
				hs = append(hs, h)
			}
		})
		return hs
	}
	before := hosts()
	r.endpoints("s", `endpoints: [{lb_endpoints: [
		{load_balancing_weight: 7, health_status: UNHEALTHY, endpoint: {address: {socket_address: {address: 10.0.0.1, port_value: 80}}}},
		{endpoint: {address: {socket_address: {address: 10.0.0.3, port_value: 80}}}}]}]`)
	after := hosts()
	if len(after) != 2 || after[0] != before[0] || after[0].Weight() != 7 || after[0].Health() != cluster.FailedEDSHealth {
		t.Errorf("10.0.0.1 did not stay: %v, then %v, weight %d, %v", before[0], after[0], after[0].Weight(), after[0].Health())
	}
	if s := r.stats("e"); s.MembershipHealthy.Value() != 1 || s.MembershipTotal.Value() != 2 {
		t.Errorf("healthy %d of %d", s.MembershipHealthy.Value(), s.MembershipTotal.Value())
	}
}

// TestMakeBeforeBreak replaces a cluster by one that has to warm.
func TestMakeBeforeBreak(t *testing.T) {
	r := newRig(t, nil)
	r.mustAdd(`{name: e, load_assignment: {cluster_name: e, ` + one("9") + `}}`)
	r.wantHosts("e", "9:80")
	r.mustAdd(edsCluster)
	r.wantHosts("e", "9:80")
	r.endpoints("s", one("1"))
	r.wantHosts("e", "1:80")
	// A further change finds the endpoints known.
	r.mustAdd(strings.Replace(edsCluster, "name: e,", "name: e, connect_timeout: 1s,", 1))
	r.wantHosts("e", "1:80")
	r.on(0, func() {
		if n := r.eds.subscribed["s"]; n != 1 {
			t.Errorf("%d subscriptions, want 1", n)
		}
		if !r.m.Remove("e") {
			t.Error("not removed")
		}
		if n := r.eds.subscribed["s"]; n != 0 {
			t.Errorf("%d subscriptions after removal", n)
		}
	})
	r.wantHosts("e", "none")
}

func TestUnchangedAndStaticClusters(t *testing.T) {
	r := newRig(t, nil)
	a := `{name: a, load_assignment: {cluster_name: a, ` + one("1") + `}}`
	r.mustAdd(a)
	var before, after *Cluster
	r.see("a", func(c *Cluster) { before = c })
	r.mustAdd(a)
	r.see("a", func(c *Cluster) { after = c })
	if before != after {
		t.Error("the same configuration made another cluster")
	}
	r.eds.fail = errors.New("no such config source")
	if err := r.add(edsCluster); err == nil || !strings.Contains(err.Error(), "no such config source") {
		t.Errorf("error %v", err)
	}
	r.wantHosts("e", "none")
	r.on(0, func() {
		if r.m.Has("e") || len(r.m.Dynamic()) != 1 {
			t.Errorf("after a failed add: %v", r.m.Dynamic())
		}
	})
}

func TestStrictDNS(t *testing.T) {
	r := newRig(t, nil)
	r.mustAdd(`{name: d, type: STRICT_DNS, dns_refresh_rate: 0.01s, load_assignment: {cluster_name: d, endpoints: [{lb_endpoints: [
		{endpoint: {address: {socket_address: {address: a.test, port_value: 80}}}},
		{endpoint: {address: {socket_address: {address: b.test, port_value: 81}}}}]}]}}`)
	r.wantHosts("d", "none")
	r.answer("10.0.0.2 10.0.0.1")
	r.wantHosts("d", "1:80 2:80")
	r.answer("10.0.0.3")
	r.wantHosts("d", "1:80 2:80 3:81")
	next := func(addrs string) {
		for asked := false; !asked; {
			r.on(0, func() { asked = len(r.dns.done) > 0 })
		}
		r.answer(addrs)
	}
	next("10.0.0.2") // a.test again
	r.wantHosts("d", "2:80 3:81")
	next("") // b.test fails: what was known stays
	r.wantHosts("d", "2:80 3:81")
	if s := r.stats("d"); s.UpdateFailure.Value() != 1 || s.UpdateSuccess.Value() != 3 {
		t.Errorf("%d failed, %d succeeded", s.UpdateFailure.Value(), s.UpdateSuccess.Value())
	}
}

// TestLogicalDNS: there is one host, another once its address is another.
func TestLogicalDNS(t *testing.T) {
	for name, how := range map[string]string{
		"LOGICAL_DNS": "type: LOGICAL_DNS, dns_refresh_rate: 0.001s",
		"DnsCluster":  `cluster_type: {name: dns, typed_config: {"@type": type.googleapis.com/envoy.extensions.clusters.dns.v3.DnsCluster, all_addresses_in_single_endpoint: true, dns_refresh_rate: 0.001s}}`,
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, nil)
			r.mustAdd(`{name: d, ` + how + `, load_assignment: {cluster_name: d, endpoints: [{lb_endpoints: [
				{endpoint: {address: {socket_address: {address: a.test, port_value: 80}}}}]}]}}`)
			next := func(addrs string) *cluster.Host {
				for asked := false; !asked; {
					r.on(0, func() { asked = len(r.dns.done) > 0 })
				}
				r.answer(addrs)
				var h *cluster.Host
				r.see("d", func(c *Cluster) { h = c.ChooseHost(lb.NoContext{}) })
				return h
			}
			first := next("10.0.0.2 10.0.0.1")
			if first.Current().String() != "10.0.0.2:80" || first.Hostname != "a.test" {
				t.Errorf("%v, %q", first.Current(), first.Hostname)
			}
			if h := next("10.0.0.7"); h == first || h.Current().String() != "10.0.0.7:80" {
				t.Errorf("not moved: %v", h.Current())
			}
			if h := next(""); h.Current().String() != "10.0.0.7:80" {
				t.Errorf("a failed lookup moved it to %v", h.Current())
			}
			if s := r.stats("d"); s.MembershipChange.Value() != 2 || s.MembershipTotal.Value() != 1 {
				t.Errorf("%d changes, %d hosts", s.MembershipChange.Value(), s.MembershipTotal.Value())
			}
		})
	}
}

func TestOriginalDst(t *testing.T) {
	self := netip.MustParseAddrPort("127.0.0.1:9")
	r := newRig(t, func(to netip.AddrPort) error {
		if to == self {
			return errors.New("refused")
		}
		return nil
	})
	r.mustAdd(`{name: o, type: ORIGINAL_DST, lb_policy: CLUSTER_PROVIDED}`)
	choose := func(restored bool, to netip.AddrPort) (h *cluster.Host) {
		r.on(1, func() {
			fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer unix.Close(fds[1])
			conn, err := network.NewServerConnection(r.loops[1], fds[0], network.IPAddress(to), network.Address{}, network.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close(network.NoFlush)
			conn.Info = &network.Info{LocalRestored: restored}
			h = r.m.Table(0).Get("o").ChooseHost(fromConn{conn: conn})
		})
		return h
	}
	to := netip.MustParseAddrPort("10.0.0.7:70")
	h := choose(true, to)
	if h == nil || h.Address.AddrPort != to {
		t.Fatalf("chose %v for %v", h, to)
	}
	if again := choose(true, to); again != h {
		t.Error("another host for the same destination")
	}
	r.on(0, func() {})
	r.wantHosts("o", "7:70")
	if h := choose(false, to); h != nil {
		t.Errorf("chose %v for a connection that was not caught", h.Address)
	}
	if h := choose(true, self); h != nil {
		t.Errorf("chose %v, which is refused", h.Address)
	}
	r.on(1, func() {
		if s := r.m.Table(0).Get("o").Stats(); s.OriginalDstHostInvalid.Value() != 1 || s.UpstreamCxNoneHealthy.Value() != 2 {
			t.Errorf("original_dst_host_invalid %d, upstream_cx_none_healthy %d", s.OriginalDstHostInvalid.Value(), s.UpstreamCxNoneHealthy.Value())
		}
	})
	for range 2 { // used before the first, unused before the second
		r.wantHosts("o", "7:70")
		r.on(0, func() { r.m.active["o"].discovery.(*originalDiscovery).sweep() })
	}
	r.wantHosts("o", "")
	if again := choose(true, to); again == nil || again == h {
		t.Error("the host that was taken out was used again")
	}
}

func TestStatus(t *testing.T) {
	r := newRig(t, nil)
	r.mustAdd(`{name: b, load_assignment: {cluster_name: b, ` + one("1") + `}}`)
	r.mustAdd(edsCluster)
	r.endpoints("s", one("5"))
	r.see("b", func(c *Cluster) {
		h := c.Hosts().Sets[0].Hosts[0]
		h.Stats(c.owner.Loop.Worker).RqTotal += 2
	})
	all, err := r.m.Status(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 2 || all[0].Info.Name != "b" || all[0].Hosts[0].Stats.RqTotal != 4 || all[1].EDSService != "s" {
		t.Errorf("%+v", all)
	}
}

// byPod has a key for each downstream pod, as on a node.
type byPod struct{ pool.Direct }

func (byPod) Key(c *network.Connection) uint32 { return c.Info.PodID }

func TestPoolsOfAPod(t *testing.T) {
	r := newRig(t, nil)
	r.m.dialer = byPod{}
	r.mustAdd(`{name: a, load_assignment: {cluster_name: a, ` + one("1") + `}}`)
	of := func(pod uint32) (p pool.HTTP) {
		r.on(1, func() {
			c := r.m.Table(0).Get("a")
			p = c.HTTPPool(c.Hosts().Sets[0].Hosts[0], cluster.Default, &network.Connection{Info: &network.Info{PodID: pod}}, "")
		})
		return p
	}
	a, b := of(1), of(2)
	if a == b || a != of(1) {
		t.Error("a pod's pool is not its own")
	}
	r.on(0, func() { r.m.CloseKey(1) })
	if of(1) == a || of(2) != b {
		t.Error("after pod 1 has gone its pool is there, or pod 2's is not")
	}
}

func TestPoolsOfDownstreamConnections(t *testing.T) {
	r := newRig(t, nil)
	r.mustAdd(`{name: a, connection_pool_per_downstream_connection: true, load_assignment: {cluster_name: a, ` + one("1") + `}}`)
	one, two := &network.Connection{}, &network.Connection{}
	r.on(1, func() {
		c := r.m.Table(0).Get("a")
		of := func(d *network.Connection) pool.HTTP {
			return c.HTTPPool(c.Hosts().Sets[0].Hosts[0], cluster.Default, d, "")
		}
		a, b := of(one), of(two)
		if a == b || a != of(one) || of(nil) == a {
			t.Error("a downstream connection's pool is not its own")
		}
		(&ownPool{c, poolKey{host: c.Hosts().Sets[0].Hosts[0], proto: cluster.HTTP1, downstream: one}}).OnEvent(network.RemoteClose)
		if of(two) != b || of(one) == a {
			t.Error("with one connection its pool has to go, and no other")
		}
	})
}

// asking is a request for which a filter asks for a host.
type asking struct {
	lb.NoContext
	info streaminfo.Info
}

func (a *asking) StreamInfo() *streaminfo.Info { return &a.info }

func TestFiltersOverrideTheHost(t *testing.T) {
	r := newRig(t, nil)
	r.mustAdd(edsCluster)
	r.endpoints("s", `endpoints: [{lb_endpoints: [
		{health_status: UNHEALTHY, endpoint: {address: {socket_address: {address: 10.0.0.1, port_value: 80}}}},
		{endpoint: {address: {socket_address: {address: 10.0.0.2, port_value: 80}}}},
		{endpoint: {address: {socket_address: {address: 10.0.0.3, port_value: 80}}}}]}]`)
	for _, tt := range []struct {
		host   string
		strict bool
		want   string // "" for any, "none"
	}{
		{"10.0.0.3:80", false, "10.0.0.3:80"}, {"10.0.0.3:80", true, "10.0.0.3:80"},
		{"10.0.0.1:80", true, "none"}, {"10.0.0.1:80", false, ""}, {"10.0.0.9:80", true, "none"}, {"10.0.0.9:80", false, ""},
	} {
		r.see("e", func(c *Cluster) {
			a := &asking{}
			a.info.OverrideHost, a.info.OverrideStrict = tt.host, tt.strict
			got := "none"
			if h := c.ChooseHost(a); h != nil {
				got = h.Address.String()
			}
			if got != tt.want && (tt.want != "" || got == "none" || got == tt.host) {
				t.Errorf("%s, strict %v: %s", tt.host, tt.strict, got)
			}
		})
	}
}
