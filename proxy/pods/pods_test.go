package pods

import (
	"net/netip"
	"testing"

	"github.com/weirproxy/weir/proxy/stats"
)

type owner struct{}

func (owner) Post(f func()) { f() }

func TestTable(t *testing.T) {
	table := NewTable(stats.NewStore(owner{}))
	a4, a6 := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("fd00::1")
	b4 := netip.MustParseAddr("10.0.0.2")
	a := table.Put(1, Identity{Namespace: "shop", Name: "web", ServiceAccount: "seller", Labels: map[string]string{"app": "web"}}, []netip.Addr{a4, a6})
	b := table.Put(2, Identity{Name: "db"}, []netip.Addr{b4})

	elsewhere := netip.MustParseAddr("192.0.2.1")
	state := a.FilterState(netip.MustParseAddr("::ffff:10.0.0.2"))
	for key, want := range map[string]string{
		"weir.pod.namespace": "shop", "weir.pod.name": "web", "weir.pod.service_account": "seller", "weir.pod.labels.app": "web",
		"weir.peer.name": "db",
	} {
		if state[key] != want {
			t.Errorf("%s is %v, want %s", key, state[key], want)
		}
	}
	if got := state[OwnKey].(*Identity).String(); got != "shop/web" {
		t.Errorf("pod %q", got)
	}
	if got := state[PeerKey].(*Identity).String(); got != "db" {
		t.Errorf("peer %q", got)
	}
	if _, there := state["weir.peer.service_account"]; there {
		t.Error("a service account that is not known")
	}
	if _, there := b.FilterState(elsewhere)[PeerKey]; there {
		t.Error("somebody elsewhere is a pod of this node")
	}

	table.Put(1, Identity{Namespace: "shop", Name: "web"}, []netip.Addr{a6})
	if table.At(a4) != nil || table.At(a6) == nil {
		t.Error("addresses have not changed")
	}
	if _, there := a.FilterState(b4)["weir.pod.labels.app"]; there {
		t.Error("labels have not changed")
	}
	table.PutPeer("shop/buyer", Identity{Namespace: "shop", Name: "buyer"}, []netip.Addr{elsewhere, b4})
	if got := a.FilterState(netip.MustParseAddr("::ffff:192.0.2.1"))["weir.peer.name"]; got != "buyer" {
		t.Errorf("peer %v", got)
	}
	if got := a.FilterState(b4)["weir.peer.name"]; got != "db" {
		t.Errorf("an address of the node's pod is %v's", got)
	}
	table.PutPeer("shop/next", Identity{Namespace: "shop", Name: "next"}, []netip.Addr{elsewhere})
	table.RemovePeer("shop/buyer") // its address is another's
	if got := table.At(elsewhere); got == nil || got.String() != "shop/next" {
		t.Errorf("peer %v", got)
	}
	table.PutPeer("shop/next", Identity{Namespace: "shop", Name: "next"}, nil)
	if got := table.At(elsewhere); got != nil {
		t.Errorf("peer %v", got)
	}
	table.Remove(2)
	if table.At(b4) != nil {
		t.Error("a pod that is gone has its address still")
	}
}

func TestFields(t *testing.T) {
	i := Identity{Namespace: "shop", Name: "web", Labels: map[string]string{"app.kubernetes.io/name": "x"}}
	for name, want := range map[string]string{"namespace": "shop", "name": "web", "labels.app.kubernetes.io/name": "x"} {
		if got, ok := i.Field(name); !ok || got != want {
			t.Errorf("%s: %q, %v", name, got, ok)
		}
	}
	for _, name := range []string{"service_account", "labels.none", "uid", ""} {
		if got, ok := i.Field(name); ok {
			t.Errorf("%s: %q", name, got)
		}
	}
}
