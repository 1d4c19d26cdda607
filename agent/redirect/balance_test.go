package redirect

import (
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/weirproxy/weir/internal/netnsrig"
)

// A service's connections go to its endpoints, by all kinds of sockets, and
// the app sees the service as its peer (ask checks that).
func TestBalance(t *testing.T) {
	for name, rewrite := range map[string]bool{"mark": false, "rewrite": true} {
		t.Run(name, func(t *testing.T) {
			rig := netnsrig.Test(t, "a", "one", "two")
			r := load(t)
			for _, p := range rig[1:] {
				serveName(t, p, ":7000")
			}
			a := manage(t, r, rig[0], func(p *Pod) { p.Rewrite = rewrite })
			at := func(ip func(*netnsrig.Pod) netip.Addr, p *netnsrig.Pod) netip.AddrPort {
				return netip.AddrPortFrom(ip(p), 7000)
			}
			ip4 := func(p *netnsrig.Pod) netip.Addr { return p.IPv4 }
			ip6 := func(p *netnsrig.Pod) netip.Addr { return p.IPv6 }
			both := map[netip.AddrPort][]netip.AddrPort{
				service4: {at(ip4, rig[1]), at(ip4, rig[2])}, service6: {at(ip6, rig[1]), at(ip6, rig[2])},
			}
			set := func(services map[netip.AddrPort][]netip.AddrPort) {
				t.Helper()
				if err := r.SetServices(services); err != nil {
					t.Fatal(err)
				}
			}
			wantAnswer(t, a.Pod, service4.String(), "outbound "+service4.String())
			set(both)
			for _, service := range []string{service4.String(), service6.String()} {
				got := map[string]int{}
				for range 60 {
					got[ask(t, a.Pod, service)]++
				}
				if got["one"] < 10 || got["two"] < 10 || len(got) != 2 {
					t.Errorf("%s: %v, want both about as often", service, got)
				}
			}
			mapped := "[::ffff:" + service4.Addr().String() + "]:80"
			if got := askAny(t, a.Pod, mapped); got != "one" && got != "two" {
				t.Errorf("%s: %q", mapped, got)
			}
			wantAnswer(t, a.Pod, "203.0.113.9:81", "outbound 203.0.113.9:81") // another port
			if c, err := r.Counters(); err != nil || c["balanced"] != 121 {
				t.Errorf("%v, %v; want 121 balanced", c, err)
			}

			set(map[netip.AddrPort][]netip.AddrPort{service4: {at(ip4, rig[2])}})
			for range 10 {
				wantAnswer(t, a.Pod, service4.String(), "two")
			}
			wantAnswer(t, a.Pod, service6.String(), "outbound "+service6.String())
			a.pod.ExcludePorts = []uint16{80}
			a.put()
			if err := goesNowhere(t, a.Pod, service4.String()); err == nil {
				t.Error("balanced although it is excluded")
			}
			a.pod.ExcludePorts = nil
			a.put()
			set(nil)
			wantAnswer(t, a.Pod, service4.String(), "outbound "+service4.String())
			for _, m := range []string{"weir_lb_services", "weir_lb_endpoints"} {
				var key, value []byte
				if it := r.maps()[m].Iterate(); it.Next(&key, &value) {
					t.Errorf("%s has %v still", m, key)
				}
			}
		})
	}
}

// Endpoints that change all the time: every connection finds one, and none
// goes to the proxy.
func TestBalanceWhileEndpointsChange(t *testing.T) {
	rig := netnsrig.Test(t, "a", "one", "two")
	r := load(t)
	var sets [2][]netip.AddrPort
	for i, p := range rig[1:] {
		serveName(t, p, ":7000")
		sets[i] = []netip.AddrPort{netip.AddrPortFrom(p.IPv4, 7000)}
	}
	a := manage(t, r, rig[0], nil)
	if err := r.SetServices(map[netip.AddrPort][]netip.AddrPort{service4: sets[0]}); err != nil {
		t.Fatal(err)
	}
	var done atomic.Bool
	var wg sync.WaitGroup
	changes := 0
	wg.Go(func() {
		for ; !done.Load(); changes++ {
			if err := r.SetServices(map[netip.AddrPort][]netip.AddrPort{service4: sets[changes%2]}); err != nil {
				t.Error(err)
				return
			}
		}
	})
	for range 300 {
		if got := ask(t, a.Pod, service4.String()); got != "one" && got != "two" {
			t.Errorf("%q", got)
		}
	}
	done.Store(true)
	wg.Wait()
	if changes < 10 {
		t.Errorf("%d changes only", changes)
	}
}

func serveName(t *testing.T, p *netnsrig.Pod, addr string) {
	t.Helper()
	l, err := p.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	answer(t, l, func(*net.TCPConn) string { return fmt.Sprint(p.Name) })
}
