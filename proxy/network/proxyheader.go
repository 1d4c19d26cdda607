package network

import "net/netip"

// ProxyHeader is what a PROXY protocol header says of a connection. A
// listener filter puts it into the connection's filter state, and a transport
// socket upstream sends it on.
type ProxyHeader struct {
	Source, Destination netip.AddrPort
	TLVs                []TLV
}

// TLV is one type-length-value of a version 2 header.
type TLV struct {
	Type  byte
	Value []byte
}

// ProxyHeaderKey is the name of a ProxyHeader in the filter state.
const ProxyHeaderKey = "envoy.network.proxy_protocol_options"
