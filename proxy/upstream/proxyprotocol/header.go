package proxyprotocol

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/weirproxy/weir/proxy/network"
)

const signature2 = "\r\n\r\n\x00\r\nQUIT\n"

// Header is the header of version 1 or 2 that tells of a connection from src
// to dst, for those who write it themselves.
func Header(version int, src, dst netip.AddrPort) []byte {
	if version == 1 {
		return header1(src, dst)
	}
	return header2(src, dst, nil)
}

// header1 is a header of version 1.
func header1(src, dst netip.AddrPort) []byte {
	src, dst = unmapped(src), unmapped(dst)
	switch {
	case !src.IsValid() || !dst.IsValid() || src.Addr().Is4() != dst.Addr().Is4():
		return []byte("PROXY UNKNOWN\r\n")
	case src.Addr().Is4():
		return fmt.Appendf(nil, "PROXY TCP4 %v %v %d %d\r\n", src.Addr(), dst.Addr(), src.Port(), dst.Port())
	}
	return fmt.Appendf(nil, "PROXY TCP6 %v %v %d %d\r\n", src.Addr(), dst.Addr(), src.Port(), dst.Port())
}

// header2 is a header of version 2. Without addresses it says that the proxy
// itself makes the connection.
func header2(src, dst netip.AddrPort, tlvs []network.TLV) []byte {
	src, dst = unmapped(src), unmapped(dst)
	out := []byte(signature2)
	if !src.IsValid() || !dst.IsValid() || src.Addr().Is4() != dst.Addr().Is4() {
		return append(out, 0x20, 0, 0, 0)
	}
	family := byte(0x11)
	if src.Addr().Is6() {
		family = 0x21
	}
	body := append(src.Addr().AsSlice(), dst.Addr().AsSlice()...)
	body = binary.BigEndian.AppendUint16(body, src.Port())
	body = binary.BigEndian.AppendUint16(body, dst.Port())
	for _, t := range tlvs {
		if len(body)+3+len(t.Value) > 0xffff {
			break
		}
		body = append(body, t.Type)
		body = binary.BigEndian.AppendUint16(body, uint16(len(t.Value)))
		body = append(body, t.Value...)
	}
	out = append(out, 0x21, family)
	out = binary.BigEndian.AppendUint16(out, uint16(len(body)))
	return append(out, body...)
}

func unmapped(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()) }

// decodeTLVs reads what cluster.TransportOptions holds.
func decodeTLVs(s string) (out []network.TLV) {
	for len(s) >= 3 {
		n := int(s[1])<<8 | int(s[2])
		if len(s) < 3+n {
			break
		}
		out = append(out, network.TLV{Type: s[0], Value: []byte(s[3 : 3+n])})
		s = s[3+n:]
	}
	return out
}
