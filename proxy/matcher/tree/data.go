package tree

import (
	"github.com/weirproxy/weir/proxy/cel"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/streaminfo"
)

// Data is what inputs read. The header maps are nil while they are not there.
type Data struct {
	Local, Remote, DirectRemote network.Address
	ServerName                  string // SNI
	TransportProtocol           string // "tls", "raw_buffer"
	ALPN                        []string
	TLS                         network.TLSInfo // nil on plain connections
	Metadata                    map[string]map[string]any
	FilterState                 map[string]any
	Details                     string // response code details

	RequestHeaders, RequestTrailers   *http.HeaderMap
	ResponseHeaders, ResponseTrailers *http.HeaderMap

	info    *streaminfo.Info    // for CEL expressions
	conn    *network.Connection // instead of info
	scratch [64]byte
}

// attributes are what CEL expressions see.
func (d *Data) attributes() cel.Input {
	if d.info == nil && d.conn != nil {
		d.info = streaminfo.OfConnection(d.conn)
	}
	if d.info == nil {
		d.info = &streaminfo.Info{}
	}
	in := cel.Input{Info: d.info, RequestHeaders: d.RequestHeaders, ResponseHeaders: d.ResponseHeaders, ResponseTrailers: d.ResponseTrailers}
	if d.info.Conn != nil {
		in.Now = d.info.Conn.Loop().Now()
	}
	return in
}

// Holds tells whether a CEL expression is true.
func (d *Data) Holds(p *cel.Program) bool { return p.Match(d.attributes()) }

// SetStream fills in what is known of a stream, but its headers.
func (d *Data) SetStream(i *streaminfo.Info) {
	d.info = i
	d.Local, d.Remote, d.DirectRemote = i.DownstreamLocal, i.DownstreamRemote, i.DownstreamDirectRemote
	d.ServerName, d.TLS, d.Details = i.RequestedServerName, i.DownstreamTLS(), i.ResponseCodeDetails
	d.Metadata, d.FilterState = i.Metadata, i.FilterState
	if i.Conn != nil && i.Conn.Info != nil {
		d.TransportProtocol, d.ALPN = i.Conn.Info.TransportProtocol, i.Conn.Info.ALPN
	}
}

// SetConnection fills in what is known of a connection.
func (d *Data) SetConnection(c *network.Connection) {
	d.info, d.conn = nil, c
	d.SetSocket(c.LocalAddress(), c.RemoteAddress(), c.Info)
}

// SetSocket fills in what listener filters have learned of a socket; i may be
// nil.
func (d *Data) SetSocket(local, remote network.Address, i *network.Info) {
	d.Local, d.Remote, d.DirectRemote = local, remote, remote
	if i == nil {
		return
	}
	if i.DirectRemote.IsSet() {
		d.DirectRemote = i.DirectRemote
	}
	d.ServerName, d.TransportProtocol, d.ALPN, d.TLS = i.ServerName, i.TransportProtocol, i.ALPN, i.TLS
	d.Metadata, d.FilterState = i.Metadata, i.FilterState
}
