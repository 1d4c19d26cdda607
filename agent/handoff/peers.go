package handoff

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
)

// Peer is a pod that the agent does not manage but knows of: one of another
// node, say. The proxy is told so that it knows who is at the other end of a
// connection.
type Peer struct {
	Namespace      string            `json:"namespace,omitempty"`
	Name           string            `json:"name"`
	Addresses      []netip.Addr      `json:"addresses"`
	ServiceAccount string            `json:"service_account,omitempty"`
	Labels         map[string]string `json:"labels,omitempty"`
}

// Key is NAMESPACE/NAME.
func (p *Peer) Key() string { return p.Namespace + "/" + p.Name }

func (p *Peer) validate() error {
	return checkWho(p.Namespace, p.Name, p.ServiceAccount, p.Labels, p.Addresses)
}

func checkPeers(peers []Peer, gone []string) error {
	for i := range peers {
		if err := peers[i].validate(); err != nil {
			return err
		}
	}
	for _, key := range gone {
		if key == "" || len(key) > 2*maxName+1 {
			return errors.New("a peer has no name")
		}
	}
	return nil
}

// checkWho is of pods and peers.
func checkWho(namespace, name, serviceAccount string, labels map[string]string, addresses []netip.Addr) error {
	switch {
	case name == "" || len(name) > maxName || len(namespace) > maxName:
		return fmt.Errorf("a pod's name has 1 to %d bytes", maxName)
	case len(addresses) > maxAddresses:
		return fmt.Errorf("%d addresses; %d are allowed", len(addresses), maxAddresses)
	case len(serviceAccount) > maxName:
		return fmt.Errorf("a service account's name has at most %d bytes", maxName)
	case len(labels) > maxLabels:
		return fmt.Errorf("%d labels; %d are allowed", len(labels), maxLabels)
	}
	for name, value := range labels {
		if name == "" || len(name) > maxLabel || len(value) > maxLabel {
			return fmt.Errorf("a label's name has 1 to %d bytes, its value at most %[1]d", maxLabel)
		}
	}
	for _, a := range addresses {
		if !a.IsValid() || a.Is4In6() || a.Zone() != "" {
			return fmt.Errorf("address %q", a)
		}
	}
	return nil
}

// peers are those that the server knows of.
type peers struct {
	known    map[string]Peer
	complete bool
}

// PutPeer tells all proxies of a peer, or that it is another now. One that no
// message can tell is left out. Labels beyond what a message may have are, too.
func (s *Server) PutPeer(p Peer) {
	p.Labels = bounded(p.Labels)
	if p.validate() != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.peers.known[p.Key()] = p
	for c := range s.clients {
		s.sendOrDrop(c, &message{Type: typePeers, Peers: []Peer{p}})
	}
}

// RemovePeer tells all proxies that a peer, by its Key, is gone.
func (s *Server) RemovePeer(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.peers.known[key]; !known {
		return
	}
	delete(s.peers.known, key)
	for c := range s.clients {
		s.sendOrDrop(c, &message{Type: typePeers, Gone: []string{key}})
	}
}

// PeersComplete says that all peers have been put: proxies forget those that
// only an agent before this one knew.
func (s *Server) PeersComplete() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.peers.complete {
		return
	}
	s.peers.complete = true
	for c := range s.clients {
		s.sendOrDrop(c, &message{Type: typePeersComplete})
	}
}

// Peers is how many peers there are.
func (s *Server) Peers() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.peers.known)
}

// room is how many bytes of peers go into a message.
const room = maxMessage - 256

// tellPeers tells a proxy that has joined. The caller has s.mu.
func (s *Server) tellPeers(c *conn) {
	var batch []Peer
	size := 0
	flush := func() {
		if len(batch) > 0 {
			s.sendOrDrop(c, &message{Type: typePeers, Peers: batch})
		}
		batch, size = nil, 0
	}
	for _, p := range s.peers.known {
		text, err := json.Marshal(p)
		if err != nil {
			continue // what was put can be told
		}
		if size+len(text)+1 > room {
			flush()
		}
		batch, size = append(batch, p), size+len(text)+1
	}
	flush()
	if s.peers.complete {
		s.sendOrDrop(c, &message{Type: typePeersComplete})
	}
}

// peerDiff is what one agent has told of the peers.
type peerDiff struct{ told map[string]bool }

// peersChanged passes on what the agent tells.
func (c *Client) peersChanged(m *message, diff *peerDiff, events Events) {
	for i := range m.Peers {
		key := m.Peers[i].Key()
		c.peers[key], diff.told[key] = true, true
	}
	for _, key := range m.Gone {
		delete(c.peers, key)
		delete(diff.told, key)
	}
	events.PeersChanged(m.Peers, m.Gone)
}

// peersComplete forgets those that this agent has not told of.
func (c *Client) peersComplete(diff *peerDiff, events Events) {
	var gone []string
	for key := range c.peers {
		if !diff.told[key] {
			gone = append(gone, key)
			delete(c.peers, key)
		}
	}
	if len(gone) > 0 {
		events.PeersChanged(nil, gone)
	}
}
