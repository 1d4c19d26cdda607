package network

import (
	"maps"
	"time"
)

// Info is what is known of a connection beyond its addresses: found by
// listener filters and by the transport socket, read by filter-chain matching,
// HTTP and access logs.
type Info struct {
	ServerName        string        // SNI, lower case
	TransportProtocol string        // "raw_buffer" or "tls"
	ALPN              []string      // application protocols asked for (or detected)
	NextProtocol      string        // the one negotiated
	JA3, JA4          string        // fingerprints of the TLS hello
	DirectRemote      Address       // the peer's address before listener filters changed it
	DirectLocal       Address       // the local address before listener filters changed it
	LocalRestored     bool          // local is an original destination
	ChainName         string        // the filter chain that was matched
	Listener          string        // the listener's name
	Partner           int           // the upstream connection's descriptor, of the proxy before this one; 0: there is none, or it is taken
	PodID             uint32        // the agent's number for the pod whose connection this is; 0: none
	Pod               any           // what the listener keeps of that pod's connection
	Cluster           string        // where it, or the last request on it, was sent
	TLS               TLSInfo       // nil on a plain connection
	HandshakeBegin    time.Duration // TLS's first bytes came or went, by the loop's clock; 0: never
	HandshakeEnd      time.Duration // and it was done
	UpstreamSource    Source        // where upstream connections are to come from
	// NotTLS is why an inspector took what the client sent for no TLS, in the
	// words of a transport's failure.
	NotTLS string
	// TerminationDetails is why a filter ended the connection, for logs.
	TerminationDetails string
	// Flags (streaminfo.Flags), Details and CloseReason are what else such a
	// filter has to say: response flags, code details, the local close reason.
	Flags                uint64
	Details, CloseReason string
	// Metadata and FilterState are set by filters of this connection, the
	// latter with SetFilterState.
	Metadata    map[string]map[string]any
	FilterState map[string]any
	sharedState bool // FilterState is not this connection's own
}

// ShareFilterState begins with a filter state that other connections have, too.
func (i *Info) ShareFilterState(state map[string]any) {
	i.FilterState, i.sharedState = state, true
}

// SetFilterState sets an object of the connection's filter state.
func (i *Info) SetFilterState(name string, object any) {
	switch {
	case i.sharedState:
		i.FilterState, i.sharedState = maps.Clone(i.FilterState), false
	case i.FilterState == nil:
		i.FilterState = map[string]any{}
	}
	i.FilterState[name] = object
}

// FilterStateObject is the object of that name.
func (i *Info) FilterStateObject(name string) (object any, ok bool) {
	object, ok = i.FilterState[name]
	return object, ok
}

// EnsureInfo is c.Info, made if there is none yet.
func (c *Connection) EnsureInfo() *Info {
	if c.Info == nil {
		c.Info = &Info{DirectRemote: c.remote, DirectLocal: c.LocalAddress()}
	}
	return c.Info
}

// SetMetadata sets one key of the connection's dynamic metadata.
func (i *Info) SetMetadata(namespace, key string, value any) {
	if i.Metadata == nil {
		i.Metadata = map[string]map[string]any{}
	}
	m := i.Metadata[namespace]
	if m == nil {
		m = map[string]any{}
		i.Metadata[namespace] = m
	}
	m[key] = value
}

// TLSInfo is what a TLS transport can tell of its session.
type TLSInfo interface {
	Version() string     // "TLSv1.3"
	CipherSuite() string // OpenSSL's name
	SNI() string
	PeerCertificatePresented() bool
	SubjectPeer() string
	URISANsPeer() []string
	DNSSANsPeer() []string
	URISANsLocal() []string
	SHA256Peer() string // hex
}
