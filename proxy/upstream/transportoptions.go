package upstream

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/upstream/cluster"
)

// The filter state that asks something of the upstream connection.
const (
	serverNameKey = "envoy.network.upstream_server_name"
	sansKey       = "envoy.network.upstream_subject_alt_names"
	protocolsKey  = "envoy.network.application_protocols"
)

// TransportOptions are what a request or a TCP connection to h asks of the
// socket and its transport: by its filter state, by its authority where the cluster
// says so (auto_sni), and by the downstream connection that it came by. It is
// nil, as in most clusters, when there is nothing to ask. down and state may
// be nil.
func (c *Cluster) TransportOptions(h *cluster.Host, down *network.Connection, state map[string]any, authority string) *cluster.TransportOptions {
	if m := c.member(h); m != c {
		return m.TransportOptions(h, down, state, authority)
	}
	var o cluster.TransportOptions
	if down != nil && down.Info != nil {
		o.From = down.Info.UpstreamSource
	}
	if c.info.Transport == nil && !o.From.IsValid() {
		return nil
	} else if c.info.Transport == nil {
		return c.intern(o)
	}
	o.ServerName, o.SANs, o.Protocols = stateText(down, state, serverNameKey), stateText(down, state, sansKey), stateText(down, state, protocolsKey)
	if authority != "" && (c.info.AutoSNI || c.info.AutoSANs) {
		host := hostOf(authority)
		if c.info.AutoSNI && o.ServerName == "" && !isIP(host) { // an address is no SNI
			o.ServerName = host
		}
		if c.info.AutoSANs && o.SANs == "" {
			o.SANs = host
		}
	}
	if c.info.SendsAddresses && down != nil {
		h := proxyHeader(down, state)
		o.Source, o.Destination, o.TLVs = h.Source, h.Destination, encodeTLVs(h.TLVs)
	}
	if c.info.SharesState {
		if state == nil && down != nil && down.Info != nil {
			state = down.Info.FilterState
		}
		o.Shared = network.EncodeShared(state)
	}
	return c.intern(o)
}

// maxInterned bounds how many different options are remembered.
const maxInterned = 1024

// intern gives equal options one place, so that pools can be found by it. The
// strings of o may lie in a header map, so they are cloned.
func (c *Cluster) intern(o cluster.TransportOptions) *cluster.TransportOptions {
	if o == (cluster.TransportOptions{}) {
		return nil
	}
	if p := c.asked[o]; p != nil {
		return p
	}
	if c.asked == nil || len(c.asked) >= maxInterned {
		c.dropUnused()
	}
	o.ServerName, o.SANs, o.Protocols = strings.Clone(o.ServerName), strings.Clone(o.SANs), strings.Clone(o.Protocols)
	p := &o
	c.asked[o] = p
	return p
}

// dropUnused forgets options, and lets the pools that are for them alone end.
func (c *Cluster) dropUnused() {
	c.asked = map[cluster.TransportOptions]*cluster.TransportOptions{}
	for k, hp := range c.pools {
		if k.asks != nil {
			delete(c.pools, k)
			hp.Drain(nil)
		}
	}
}

// stateText is a value of the stream's filter state, else of the connection's.
func stateText(down *network.Connection, state map[string]any, key string) string {
	v, ok := state[key]
	if !ok && down != nil && down.Info != nil {
		v = down.Info.FilterState[key]
	}
	switch x := v.(type) {
	case string:
		return x
	case fmt.Stringer:
		return x.String()
	}
	return ""
}

// hostOf is the host of an authority, without port and brackets.
func hostOf(authority string) string {
	if rest, ok := strings.CutPrefix(authority, "["); ok {
		host, _, _ := strings.Cut(rest, "]")
		return host
	}
	if i := strings.LastIndexByte(authority, ':'); i >= 0 && strings.IndexByte(authority, ':') == i {
		return authority[:i]
	}
	return authority
}

func isIP(host string) bool {
	if host == "" || host[0] > '9' && strings.IndexByte(host, ':') < 0 {
		return false // most names, and cheaper
	}
	_, err := netip.ParseAddr(host)
	return err == nil
}

// proxyHeader is what a PROXY protocol header to the upstream says of down.
func proxyHeader(down *network.Connection, state map[string]any) *network.ProxyHeader {
	v, ok := state[network.ProxyHeaderKey]
	if !ok && down.Info != nil {
		v = down.Info.FilterState[network.ProxyHeaderKey]
	}
	if h, ok := v.(*network.ProxyHeader); ok {
		return h
	}
	return &network.ProxyHeader{Source: down.RemoteAddress().AddrPort, Destination: down.LocalAddress().AddrPort}
}

func encodeTLVs(tlvs []network.TLV) string {
	var b strings.Builder
	for _, t := range tlvs {
		b.WriteByte(t.Type)
		b.WriteByte(byte(len(t.Value) >> 8))
		b.WriteByte(byte(len(t.Value)))
		b.Write(t.Value)
	}
	return b.String()
}
