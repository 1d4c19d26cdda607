package handoff

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func peer(name, address string) Peer {
	return Peer{Namespace: "shop", Name: name, Addresses: []netip.Addr{netip.MustParseAddr(address)}, ServiceAccount: "buyer", Labels: map[string]string{"app": name}}
}

// A proxy is told of the peers that there are and of each change; the next
// agent tells it of those that only the last one knew that they are gone.
func TestPeers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	a := startAgent(t, path)
	a.server.PutPeer(peer("web", "10.2.0.5"))
	a.server.PeersComplete()
	_, e := startClient(t, path)
	e.want(t, "peer shop/web [10.2.0.5] buyer map[app:web]")
	a.server.PutPeer(peer("web", "10.2.0.6"))
	e.want(t, "peer shop/web [10.2.0.6] buyer map[app:web]")
	a.server.PutPeer(peer("db", "10.2.0.7"))
	e.want(t, "peer shop/db [10.2.0.7] buyer map[app:db]")
	a.server.PutPeer(Peer{Name: strings.Repeat("x", 300)}) // no message can tell it
	a.server.RemovePeer("shop/unknown")
	a.stop()
	b := startAgent(t, path)
	<-b.ready
	b.server.PutPeer(peer("web", "10.2.0.6"))
	e.want(t, "peer shop/web [10.2.0.6] buyer map[app:web]")
	b.server.PeersComplete()
	e.want(t, "no peer shop/db")
	b.server.RemovePeer("shop/web")
	e.want(t, "no peer shop/web")
}

// Any number of peers fits, a few messages at a time.
func TestManyPeers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	a := startAgent(t, path)
	const many = 1000
	for i := range many {
		p := peer(fmt.Sprint("web", i), netip.AddrFrom4([4]byte{10, 3, byte(i >> 8), byte(i)}).String())
		p.Labels["long"] = strings.Repeat("x", 300)
		a.server.PutPeer(p)
	}
	_, e := startClient(t, path)
	seen := map[string]bool{}
	for len(seen) < many {
		select {
		case got := <-e.seen:
			seen[strings.Fields(got)[1]] = true
		case <-time.After(10 * time.Second):
			t.Fatalf("told of %d peers, want %d", len(seen), many)
		}
	}
}
