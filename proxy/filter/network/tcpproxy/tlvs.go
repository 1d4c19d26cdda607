package tcpproxy

import (
	"slices"

	"github.com/weirproxy/weir/proxy/formatter"
	"github.com/weirproxy/weir/proxy/network"
)

// tlv is a value to send upstream in a PROXY protocol header.
type tlv struct {
	kind   byte
	value  []byte
	format *formatter.Formatter // instead of value
}

// mergePolicy is what becomes of values that the client's header had
// (proxy_protocol_tlv_merge_policy).
type mergePolicy uint8

const (
	addIfAbsent mergePolicy = iota
	overwriteByType
	appendAlways
)

// addTLVs puts the configured values into the connection's filter state, where
// the PROXY protocol's transport socket finds them.
func (s *settings) addTLVs(p *proxy) {
	if len(s.tlvs) == 0 {
		return
	}
	i := p.down.EnsureInfo()
	old, had := i.FilterState[network.ProxyHeaderKey].(*network.ProxyHeader)
	if had && s.tlvMerge == addIfAbsent {
		return
	}
	h := network.ProxyHeader{Source: p.down.RemoteAddress().AddrPort, Destination: p.down.LocalAddress().AddrPort}
	if had {
		h.Source, h.Destination, h.TLVs = old.Source, old.Destination, slices.Clone(old.TLVs)
	}
	if s.tlvMerge == overwriteByType {
		h.TLVs = slices.DeleteFunc(h.TLVs, func(t network.TLV) bool {
			return slices.ContainsFunc(s.tlvs, func(n tlv) bool { return n.kind == t.Type })
		})
	}
	loop, info := p.down.Loop(), p.info()
	c := formatter.Context{Info: &info, Now: loop.Now(), Time: loop.Time()}
	for _, t := range s.tlvs {
		value := t.value
		if t.format != nil {
			value = t.format.Append(nil, &c)
		}
		h.TLVs = append(h.TLVs, network.TLV{Type: t.kind, Value: value})
	}
	i.SetFilterState(network.ProxyHeaderKey, &h)
}
