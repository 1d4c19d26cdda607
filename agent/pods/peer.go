package pods

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
)

// Peer is a pod that the agent does not manage, but of which the proxy may
// know who it is: one of another node, say.
type Peer struct {
	Name      string       `json:"name"`
	Namespace string       `json:"namespace,omitempty"` // default: "default"
	Addresses []netip.Addr `json:"addresses"`
	Identity  Identity     `json:"identity,omitzero"`
}

// Key names it: NAMESPACE/NAME.
func (p *Peer) Key() string { return Key(p.Namespace, p.Name) }

// Complete fills in defaults, and tells what is wrong with it.
func (p *Peer) Complete() error {
	if p.Namespace == "" {
		p.Namespace = "default"
	}
	if p.Name == "" {
		return errors.New("name: it is missing")
	}
	if len(p.Addresses) == 0 {
		return errors.New("addresses: there is none")
	}
	for i, a := range p.Addresses {
		if !a.IsGlobalUnicast() || a.Is4In6() || a.Zone() != "" {
			return fmt.Errorf("addresses[%d]: %s is not a pod's address", i, a)
		}
	}
	return nil
}

// Peers is who is told of peers. Its methods may be called from any goroutine.
type Peers interface {
	// PutPeer tells of one, or that it is another now.
	PutPeer(Peer)
	// RemovePeer tells that it is gone.
	RemovePeer(key string)
	// PeersComplete tells that all those have been told of that there are.
	PeersComplete()
}

// PeerSource is where peers come from, besides the configuration file.
type PeerSource interface {
	// Run tells of the peers until ctx is done.
	Run(ctx context.Context, to Peers) error
}
