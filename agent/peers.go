package agent

import (
	"github.com/weirproxy/weir/agent/handoff"
	"github.com/weirproxy/weir/agent/pods"
)

// peerSink passes on what the source of peers tells.
type peerSink Agent

var _ pods.Peers = (*peerSink)(nil)

func (s *peerSink) PutPeer(p pods.Peer) {
	s.server.PutPeer(handoff.Peer{
		Namespace: p.Namespace, Name: p.Name, Addresses: p.Addresses,
		ServiceAccount: p.Identity.ServiceAccount, Labels: p.Identity.Labels,
	})
}

func (s *peerSink) RemovePeer(key string) { s.server.RemovePeer(key) }
func (s *peerSink) PeersComplete()        { s.server.PeersComplete() }

// tellPeers tells the proxies of the configuration file's peers, and which of
// the old ones are gone.
func (a *Agent) tellPeers(old []pods.Peer) {
	sink, now := (*peerSink)(a), map[string]bool{}
	for _, p := range a.peers {
		now[p.Key()] = true
		sink.PutPeer(p)
	}
	for _, p := range old {
		if !now[p.Key()] {
			sink.RemovePeer(p.Key())
		}
	}
}
