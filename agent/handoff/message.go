package handoff

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
)

// Version is the newest that this weir speaks. Peers speak the lower of theirs,
// and refuse each other only if one of them does not speak that any more. New
// fields and messages are no new version: who does not know them skips them.
const Version = 1

// oldestVersion is the oldest that this weir still speaks.
const oldestVersion = 1

const (
	maxMessage   = 16 << 10
	maxFDs       = 64
	maxName      = 253 // a Kubernetes name
	maxAddresses = 32
	maxListeners = 8
	maxLabels    = 64
	maxLabel     = 512     // bytes of a label's name, and of its value
	maxAllLabels = 4 << 10 // bytes of all of a pod's labels
)

// Family is an address family.
type Family uint8

// The address families.
const (
	IPv4 Family = 4
	IPv6 Family = 6
)

// Direction is which of a pod's connections a listener takes.
type Direction string

// The directions, as the pod sees them.
const (
	Outbound Direction = "outbound"
	Inbound  Direction = "inbound"
	// DNS is what the pod asks of DNS servers: a UDP socket.
	DNS Direction = "dns"
)

// OriginalDst is how an accepted connection tells where it was going.
type OriginalDst string

const (
	// Transparent: the accepted socket's local address is it.
	Transparent OriginalDst = "transparent"
	// Sockopt: SO_ORIGINAL_DST (IP6T_SO_ORIGINAL_DST) answers it.
	Sockopt OriginalDst = "sockopt"
	// Alias: the address that a datagram came to stands for it, by the pod's
	// table of servers.
	Alias OriginalDst = "alias"
)

// Pod is a managed pod and the sockets that take its connections.
type Pod struct {
	ID        uint32       `json:"id"` // never 0
	Name      string       `json:"name"`
	Namespace string       `json:"namespace,omitempty"`
	Addresses []netip.Addr `json:"addresses"`
	Listeners []Listener   `json:"listeners"`
	// ServiceAccount and Labels are empty if the agent does not know them, or
	// is older than they are.
	ServiceAccount string            `json:"service_account,omitempty"`
	Labels         map[string]string `json:"labels,omitempty"`
	// KeepClientAddress asks for connections to the pod to be made from the
	// client's address. Agents that are older do not ask.
	KeepClientAddress bool `json:"keep_client_address,omitempty"`
	// DNSSlot is the pod's place in the table of servers that DNSServers is the
	// descriptor of (package dnsproxy), if it has listeners for DNS.
	DNSSlot    uint32 `json:"dns_slot,omitempty"`
	DNSServers int    `json:"-"`
}

// FeatureDNS is in the hello of peers that know of DNS.
const FeatureDNS = "dns"

// HasDNS reports whether the pod's DNS is caught.
func (p *Pod) HasDNS() bool {
	return slices.ContainsFunc(p.Listeners, func(l Listener) bool { return l.Direction == DNS })
}

// Listener is a non-blocking listening TCP socket in the pod's namespace, or a
// bound UDP socket if its direction is DNS.
type Listener struct {
	Direction   Direction   `json:"direction"`
	Family      Family      `json:"family"`
	OriginalDst OriginalDst `json:"original_dst"`
	FD          int         `json:"-"`
}

// Protocol is what upstream sockets speak.
type Protocol string

// The protocols; TCP is the one of older peers, which do not say.
const (
	TCP Protocol = ""
	UDP Protocol = "udp"
	// TransparentTCP sockets may be bound to a client's address, to connect to
	// the pod itself. Of pods with KeepClientAddress only.
	TransparentTCP Protocol = "tcp_transparent"
)

var protocols = []Protocol{TCP, UDP, TransparentTCP}

type messageType string

const (
	typeHello        messageType = "hello"
	typeHeld         messageType = "held"
	typeReady        messageType = "ready"
	typeWantUpstream messageType = "want_upstream"
	typePodAdded     messageType = "pod_added"
	typeSynced       messageType = "synced"
	typePodRemoved   messageType = "pod_removed"
	typeUpstream     messageType = "upstream"
	typeRefused      messageType = "refused"
	typeList         messageType = "list_connections"
	typeWatch        messageType = "watch_connections"
	typeConnections  messageType = "connections"
	typeClosed       messageType = "closed"

	typeYield    messageType = "yield"
	typeDraining messageType = "draining"

	typePeers         messageType = "peers"
	typePeersComplete messageType = "peers_complete"
)

// message is one packet; which fields are set depends on Type.
type message struct {
	Type     messageType `json:"type"`
	Version  int         `json:"version,omitempty"`
	Pod      *Pod        `json:"pod,omitempty"`
	ID       uint32      `json:"id,omitempty"`
	Listener *Listener   `json:"listener,omitempty"`
	Family   Family      `json:"family,omitempty"`
	Protocol Protocol    `json:"protocol,omitempty"`
	Count    int         `json:"count,omitempty"`
	Seq      uint32      `json:"seq,omitempty"` // of want_upstream, and its answer
	Error    string      `json:"error,omitempty"`

	Features    []string     `json:"features,omitempty"` // of hello: what the peer may be asked for
	Started     int64        `json:"started,omitempty"`  // of a proxy's hello: when it was, UNIX nanoseconds
	Yield       bool         `json:"yield,omitempty"`
	Watch       bool         `json:"watch,omitempty"`
	Connections []Connection `json:"connections,omitempty"`
	More        bool         `json:"more,omitempty"` // another message of that Seq follows

	Peers []Peer   `json:"peers,omitempty"`
	Gone  []string `json:"gone,omitempty"` // peers, by their keys
}

// parse reads a packet that came with fds descriptors. Fields and types that
// it does not know are no error: they are how the protocol grows.
func parse(packet []byte, fds int) (*message, error) {
	if len(packet) > maxMessage {
		return nil, fmt.Errorf("a message of %d bytes; %d are allowed", len(packet), maxMessage)
	}
	var m message
	if err := json.Unmarshal(packet, &m); err != nil {
		return nil, fmt.Errorf("not a message: %w", err)
	}
	if err := m.validate(); err != nil {
		return nil, fmt.Errorf("message %q: %w", m.Type, err)
	}
	if want, exact := m.wantFDs(); m.isKnown() && exact && fds != want || fds > maxFDs {
		return nil, fmt.Errorf("message %q: %d descriptors, not %d", m.Type, fds, want)
	}
	return &m, nil
}

func (m *message) validate() error {
	switch m.Type {
	case typeHello:
		if m.Version < 1 {
			return errors.New("no version")
		}
	case typeHeld:
		if m.Listener == nil {
			return errors.New("no listener")
		}
		return errors.Join(checkID(m.ID), m.Listener.validate())
	case typePodAdded:
		if m.Pod == nil {
			return errors.New("no pod")
		}
		return m.Pod.validate()
	case typePodRemoved:
		return checkID(m.ID)
	case typeWantUpstream:
		if m.Count < 1 || m.Count > maxFDs {
			return fmt.Errorf("count %d is not from 1 to %d", m.Count, maxFDs)
		}
		return errors.Join(checkID(m.ID), m.Family.validate(), m.Protocol.validate())
	case typeUpstream, typeRefused:
		return errors.Join(checkID(m.ID), m.Family.validate(), m.Protocol.validate())
	case typeConnections, typeClosed:
		return checkConnections(m.Connections)
	case typePeers:
		return checkPeers(m.Peers, m.Gone)
	case "":
		return errors.New("no type")
	}
	return nil
}

// isKnown reports whether this weir knows the message's type. One that it does
// not know is skipped, with its descriptors closed: the peer is newer.
func (m *message) isKnown() bool {
	switch m.Type {
	case typeHello, typeHeld, typeReady, typeWantUpstream, typePodAdded, typeSynced, typePodRemoved, typeUpstream, typeRefused,
		typeList, typeWatch, typeConnections, typeClosed, typePeers, typePeersComplete, typeYield, typeDraining:
		return true
	}
	return false
}

// wantFDs is how many descriptors belong to the message, if its type says.
func (m *message) wantFDs() (n int, exact bool) {
	switch m.Type {
	case typeHello:
		return 1, false // from the agent only
	case typeHeld:
		return 1, true
	case typePodAdded:
		if m.Pod.HasDNS() {
			return len(m.Pod.Listeners) + 1, true
		}
		return len(m.Pod.Listeners), true
	case typeUpstream:
		return maxFDs, false
	}
	return 0, true
}

func (p *Pod) validate() error {
	if err := checkID(p.ID); err != nil {
		return err
	}
	if err := checkWho(p.Namespace, p.Name, p.ServiceAccount, p.Labels, p.Addresses); err != nil {
		return err
	}
	if len(p.Listeners) > maxListeners {
		return fmt.Errorf("%d listeners; %d are allowed", len(p.Listeners), maxListeners)
	}
	for i := range p.Listeners {
		if err := p.Listeners[i].validate(); err != nil {
			return err
		}
	}
	return nil
}

func (l *Listener) validate() error {
	switch l.Direction {
	case Outbound, Inbound, DNS:
	default:
		return fmt.Errorf("direction %q", l.Direction)
	}
	switch l.OriginalDst {
	case Transparent, Sockopt, Alias:
	default:
		return fmt.Errorf("original_dst %q", l.OriginalDst)
	}
	if (l.Direction == DNS) != (l.OriginalDst == Alias) {
		return fmt.Errorf("direction %q with original_dst %q", l.Direction, l.OriginalDst)
	}
	return l.Family.validate()
}

func (f Family) validate() error {
	if f != IPv4 && f != IPv6 {
		return fmt.Errorf("family %d is neither 4 nor 6", f)
	}
	return nil
}

func (p Protocol) validate() error {
	if !slices.Contains(protocols, p) {
		return fmt.Errorf("protocol %q", p)
	}
	return nil
}

func checkID(id uint32) error {
	if id == 0 {
		return errors.New("no pod ID")
	}
	return nil
}
