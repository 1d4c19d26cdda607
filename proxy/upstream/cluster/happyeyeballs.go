package cluster

import "github.com/weirproxy/weir/proxy/network"

// HappyEyeballs is the order in which a host's addresses are tried
// (UpstreamConnectionOptions.happy_eyeballs_config, RFC 8305 section 4).
type HappyEyeballs struct {
	First Family // AnyFamily: that of the first address
	Count int    // addresses of it before one of the other; 0 counts as 1
}

// Family is an address family.
type Family uint8

const (
	AnyFamily Family = iota
	IPv4
	IPv6
)

// order interleaves the families.
func (c HappyEyeballs) order(addrs []network.Address) []network.Address {
	first := addrs[0].Addr().Is4()
	if c.First != AnyFamily {
		first = c.First == IPv4
	}
	var families [2][]network.Address // the first, the other
	for _, a := range addrs {
		i := 0
		if a.Addr().Is4() != first {
			i = 1
		}
		families[i] = append(families[i], a)
	}
	out := make([]network.Address, 0, len(addrs))
	for len(out) < len(addrs) {
		for i, n := range [2]int{max(c.Count, 1), 1} {
			n = min(n, len(families[i]))
			out = append(out, families[i][:n]...)
			families[i] = families[i][n:]
		}
	}
	return out
}
