package manager

import (
	"net/netip"
	"strings"

	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/network"
)

// detected is what a detector found of the client. The address is not valid
// when it found nothing.
type detected struct {
	addr       netip.Addr
	trusted    bool // it may mark an internal request
	skipAppend bool // x-forwarded-for gets no entry for this hop
	reject     int  // the status to refuse the request with; 0: none
}

// detector finds the client's address in a request of a connection from peer.
type detector interface {
	detect(h *http.HeaderMap, peer network.Address) detected
}

// xffDetector looks at x-forwarded-for.
type xffDetector struct {
	hops       int            // trusted entries from the right, or
	trusted    []netip.Prefix // the networks whose proxies are trusted; nil: by number
	skipAppend bool
}

func (d xffDetector) detect(h *http.HeaderMap, peer network.Address) detected {
	out := detected{skipAppend: d.skipAppend}
	if !h.Has(http.XForwardedFor) {
		return out
	}
	xff := h.Get(http.XForwardedFor)
	if d.trusted == nil {
		out.addr, out.trusted = lastForwarded(xff, d.hops)
		return out
	}
	if !within(d.trusted, peer.Addr()) {
		return detected{}
	}
	out.addr, out.trusted = lastUntrusted(xff, d.trusted), strings.IndexByte(xff, ',') < 0
	return out
}

// lastUntrusted is the rightmost address of an X-Forwarded-For value that is
// not in the networks, or the leftmost when all are.
func lastUntrusted(xff string, trusted []netip.Prefix) netip.Addr {
	var last netip.Addr
	for rest := xff; ; {
		i := strings.LastIndexByte(rest, ',')
		a, err := netip.ParseAddr(strings.Trim(rest[i+1:], " \t"))
		if err != nil {
			return netip.Addr{}
		}
		if last = a; i < 0 || !within(trusted, a) {
			return last
		}
		rest = rest[:i]
	}
}

// headerDetector looks at a header of the operator's own.
type headerDetector struct {
	name    string
	trusted bool
	reject  int
}

func (d headerDetector) detect(h *http.HeaderMap, _ network.Address) detected {
	v, _ := h.GetName(d.name)
	v = strings.TrimSpace(v)
	a, err := netip.ParseAddr(v)
	if err != nil {
		return detected{reject: d.reject, skipAppend: true}
	}
	return detected{addr: a, trusted: d.trusted, skipAppend: true}
}

func within(ps []netip.Prefix, a netip.Addr) bool {
	for _, p := range ps {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// detectClient asks the detectors in turn. reject is not 0 when one refuses
// the request.
func (s *stream) detectClient() (addr netip.Addr, trusted bool, reject int) {
	h, peer := &s.request, s.m.conn.RemoteAddress()
	for _, d := range s.cfg.detectors {
		found := d.detect(h, peer)
		if found.reject != 0 {
			return addr, false, found.reject
		}
		if !s.cfg.skipXFFAppend && !found.skipAppend && !peer.IsPipe() {
			s.appendPeer(peer.Addr())
		}
		if found.addr.IsValid() {
			return found.addr, found.trusted, 0
		}
	}
	return addr, false, 0
}
