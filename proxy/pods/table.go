package pods

import (
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/weirproxy/weir/proxy/stats"
)

// Table is the node's pods. Main changes it; anybody may ask.
type Table struct {
	store     *stats.Store
	pods      map[uint32]*Pod                     // main's
	byAddress atomic.Pointer[map[netip.Addr]*Pod] // replaced whole
	// Pods that this node's agent does not manage: there may be as many as the
	// cluster has.
	peers       map[string]peer // by NAMESPACE/NAME; main's
	peerAddress sync.Map        // netip.Addr to *Identity
}

// peer is a pod that is not the table's.
type peer struct {
	identity  *Identity
	addresses []netip.Addr
}

// NewTable is an empty table whose pods count in store.
func NewTable(store *stats.Store) *Table {
	t := &Table{store: store, pods: map[uint32]*Pod{}, peers: map[string]peer{}}
	t.byAddress.Store(&map[netip.Addr]*Pod{})
	return t
}

// Pod is one pod of a table. Its methods may be called on any worker.
type Pod struct {
	ID        uint32
	table     *Table
	addresses []netip.Addr
	identity  atomic.Pointer[Identity]
	stats     [2]*stats.Group[Stats] // by direction
}

// Put adds a pod, or changes who it is and where. Main only.
func (t *Table) Put(id uint32, who Identity, addresses []netip.Addr) *Pod {
	who.prepare()
	p := t.pods[id]
	if p == nil {
		p = &Pod{ID: id, table: t}
		t.pods[id] = p
	}
	old := p.identity.Swap(&who)
	if old == nil || old.label != who.label {
		p.closeStats()
		p.openStats(t.store, &who)
	}
	p.addresses = addresses
	t.index()
	return p
}

// Remove forgets a pod. Connections of its that live on keep what they were
// told. Main only.
func (t *Table) Remove(id uint32) {
	p := t.pods[id]
	if p == nil {
		return
	}
	p.closeStats()
	delete(t.pods, id)
	t.index()
}

// Identities are those of all pods, by ID. Main only.
func (t *Table) Identities() map[uint32]*Identity {
	out := make(map[uint32]*Identity, len(t.pods))
	for id, p := range t.pods {
		out[id] = p.Identity()
	}
	return out
}

func (t *Table) index() {
	byAddress := map[netip.Addr]*Pod{}
	for id, p := range t.pods {
		for _, a := range p.addresses {
			// Should two have the same for a moment, the newer one has it.
			if other := byAddress[a]; other == nil || other.ID < id {
				byAddress[a] = p
			}
		}
	}
	t.byAddress.Store(&byAddress)
}

// Has reports whether the address is the pod's. Anybody may ask.
func (t *Table) Has(id uint32, a netip.Addr) bool {
	p := (*t.byAddress.Load())[a.Unmap()]
	return p != nil && p.ID == id
}

// At is who has the address; nil: none of the node's pods.
func (t *Table) At(a netip.Addr) *Identity {
	a = a.Unmap()
	if p := (*t.byAddress.Load())[a]; p != nil {
		return p.Identity()
	}
	if who, ok := t.peerAddress.Load(a); ok {
		return who.(*Identity)
	}
	return nil
}

// PutPeer tells who a pod is that is not the table's, and where. Main only.
func (t *Table) PutPeer(key string, who Identity, addresses []netip.Addr) {
	who.prepare()
	old := t.peers[key]
	t.peers[key] = peer{&who, addresses}
	for _, a := range addresses {
		t.peerAddress.Store(a, &who)
	}
	t.leave(old)
}

// RemovePeer forgets it. Main only.
func (t *Table) RemovePeer(key string) {
	old := t.peers[key]
	delete(t.peers, key)
	t.leave(old)
}

// leave frees a peer's addresses, unless another has them by now.
func (t *Table) leave(old peer) {
	for _, a := range old.addresses {
		t.peerAddress.CompareAndDelete(a, old.identity)
	}
}

// Identity is who the pod is.
func (p *Pod) Identity() *Identity { return p.identity.Load() }

// FilterState is that of a connection between the pod and whoever has the
// address peer: not to be written to.
func (p *Pod) FilterState(peer netip.Addr) map[string]any {
	return p.Identity().stateWith(p.table.At(peer))
}
