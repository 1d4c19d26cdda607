package proxyprotocol

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// header is what a PROXY protocol header says.
type header struct {
	version  int  // 1 or 2
	size     int  // of the header, bytes
	local    bool // the addresses are the connection's own: LOCAL, UNKNOWN or a family that is not IP
	src, dst netip.AddrPort
	tlvs     []byte // the encoded TLVs of version 2, in the input's memory
}

var (
	errIncomplete = errors.New("the PROXY protocol header is not here whole")
	errNone       = errors.New("no PROXY protocol header")
)

const (
	signature1 = "PROXY "
	signature2 = "\r\n\r\n\x00\r\nQUIT\n"
	maxLine    = 107 // of version 1 with its CRLF, specification section 2.1
	fixed2     = 16  // bytes of version 2 before the addresses
)

// versions are the header versions that are looked for.
type versions struct{ v1, v2 bool }

// parse reads the header at the start of p. The error is errIncomplete, errNone
// (p begins with none of the wanted signatures) or says what is malformed; the
// header's version is set with the latter.
func parse(p []byte, want versions) (header, error) {
	switch {
	case want.v1 && bytes.HasPrefix(p, []byte(signature1)):
		h, err := parse1(p)
		h.version = 1
		return h, err
	case want.v2 && bytes.HasPrefix(p, []byte(signature2)):
		h, err := parse2(p)
		h.version = 2
		return h, err
	case want.v1 && strings.HasPrefix(signature1, string(p)), want.v2 && strings.HasPrefix(signature2, string(p)):
		return header{}, errIncomplete
	}
	return header{}, errNone
}

// parse1 reads "PROXY TCP4 src dst sport dport\r\n".
func parse1(p []byte) (h header, err error) {
	end := bytes.Index(p[:min(len(p), maxLine)], []byte("\r\n"))
	if end < 0 {
		if len(p) >= maxLine {
			return h, fmt.Errorf("no end of line in %d bytes", maxLine)
		}
		return h, errIncomplete
	}
	h.size = end + 2
	parts := strings.Split(string(p[:end]), " ")
	if parts[1] == "UNKNOWN" {
		h.local = true
		return h, nil
	}
	if len(parts) != 6 {
		return h, fmt.Errorf("%d words, want 6", len(parts))
	}
	var is func(netip.Addr) bool
	switch parts[1] {
	case "TCP4":
		is = netip.Addr.Is4
	case "TCP6":
		is = netip.Addr.Is6
	default:
		return h, fmt.Errorf("unknown protocol %q", parts[1])
	}
	if h.src, err = endpoint1(parts[2], parts[4], is); err != nil {
		return h, err
	}
	if h.dst, err = endpoint1(parts[3], parts[5], is); err != nil {
		return h, err
	}
	return h, h.check()
}

func endpoint1(addr, port string, is func(netip.Addr) bool) (netip.AddrPort, error) {
	a, err := netip.ParseAddr(addr)
	if err != nil || !is(a) || a.Zone() != "" {
		return netip.AddrPort{}, fmt.Errorf("%q is not an address of the protocol named", addr)
	}
	// ParseUint takes a leading zero or plus: the first is not in the
	// specification either, and signs it refuses by itself.
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || len(port) > 1 && port[0] == '0' {
		return netip.AddrPort{}, fmt.Errorf("%q is not a port", port)
	}
	return netip.AddrPortFrom(a, uint16(n)), nil
}

// parse2 reads a binary header (specification section 2.2).
func parse2(p []byte) (h header, err error) {
	if len(p) < fixed2 {
		return h, errIncomplete
	}
	command, family, length := p[12], p[13], int(binary.BigEndian.Uint16(p[14:]))
	if command>>4 != 2 {
		return h, fmt.Errorf("version %d in a version 2 header", command>>4)
	}
	if command&0xf > 1 {
		return h, fmt.Errorf("unknown command %d", command&0xf)
	}
	h.size = fixed2 + length
	if len(p) < h.size {
		return h, errIncomplete
	}
	body := p[fixed2:h.size]
	if h.local = command&0xf == 0; h.local {
		return h, nil // whatever family it names
	}
	var size int
	switch family {
	case 0x11, 0x12: // IPv4, stream or datagram
		size = 12
	case 0x21, 0x22: // IPv6
		size = 36
	default:
		// Of no family, UNIX sockets, or one not known here: the specification
		// leaves it open, Envoy refuses.
		return h, fmt.Errorf("unknown address family and protocol %#x", family)
	}
	if len(body) < size {
		return h, fmt.Errorf("%d bytes of addresses, want %d", len(body), size)
	}
	n := (size - 4) / 2
	src, _ := netip.AddrFromSlice(body[:n])
	dst, _ := netip.AddrFromSlice(body[n : 2*n])
	h.src = netip.AddrPortFrom(src, binary.BigEndian.Uint16(body[2*n:]))
	h.dst = netip.AddrPortFrom(dst, binary.BigEndian.Uint16(body[2*n+2:]))
	h.tlvs = body[size:]
	if !wellFormed(h.tlvs) {
		return h, errors.New("a TLV is cut off")
	}
	return h, h.check()
}

// check refuses addresses that can't be one client's or one server's.
func (h *header) check() error {
	for _, a := range []netip.Addr{h.src.Addr(), h.dst.Addr()} {
		if a.IsUnspecified() || a.IsMulticast() || a == netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
			return fmt.Errorf("%v is not a unicast address", a)
		}
	}
	return nil
}

func wellFormed(p []byte) bool {
	for len(p) > 0 {
		if len(p) < 3 {
			return false
		}
		n := 3 + int(binary.BigEndian.Uint16(p[1:]))
		if len(p) < n {
			return false
		}
		p = p[n:]
	}
	return true
}

// TLVs yields the header's TLVs, for range. They were found well-formed.
func (h *header) TLVs(yield func(kind byte, value []byte) bool) {
	for p := h.tlvs; len(p) >= 3; {
		n := 3 + int(binary.BigEndian.Uint16(p[1:]))
		if len(p) < n || !yield(p[0], p[3:n]) {
			return
		}
		p = p[n:]
	}
}
