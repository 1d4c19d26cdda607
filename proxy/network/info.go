package network

// Info is what is known of a connection beyond its addresses: found by
// listener filters and by the transport socket, read by filter-chain matching,
// HTTP and access logs.
type Info struct {
	ServerName        string   // SNI, lower case
	TransportProtocol string   // "raw_buffer" or "tls"
	ALPN              []string // application protocols asked for (or detected)
	NextProtocol      string   // the one negotiated
	JA3, JA4          string   // fingerprints of the TLS hello
	DirectRemote      Address  // the peer's address before listener filters changed it
	DirectLocal       Address  // the local address before listener filters changed it
	LocalRestored     bool     // local is an original destination
	ChainName         string   // the filter chain that was matched
	Listener          string   // the listener's name
	Pod               string   // the pod whose traffic this is, from the agent
	PodID             uint32   // and its number, 0 for none
	TLS               TLSInfo  // nil on a plain connection
	// TerminationDetails is why a filter ended the connection, for logs.
	TerminationDetails string
	LocalClose         string // why this side closed it, as Envoy words it
	// Metadata and FilterState are set by filters of this connection.
	Metadata    map[string]map[string]any
	FilterState map[string]any
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
