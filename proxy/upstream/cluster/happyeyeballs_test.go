package cluster

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/weirproxy/weir/proxy/network"
)

func TestHappyEyeballsOrder(t *testing.T) {
	for _, c := range []struct {
		name     string
		config   HappyEyeballs
		in, want string
	}{
		{"the first one's family first", HappyEyeballs{}, "1.1.1.1 2.2.2.2 ::1 ::2", "1.1.1.1 ::1 2.2.2.2 ::2"},
		{"IPv6 first", HappyEyeballs{First: IPv6}, "1.1.1.1 2.2.2.2 ::1", "::1 1.1.1.1 2.2.2.2"},
		{"two of the first", HappyEyeballs{First: IPv4, Count: 2}, "::1 ::2 1.1.1.1 2.2.2.2 3.3.3.3", "1.1.1.1 2.2.2.2 ::1 3.3.3.3 ::2"},
		{"none of the first", HappyEyeballs{First: IPv6}, "1.1.1.1 2.2.2.2", "1.1.1.1 2.2.2.2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var in []network.Address
			for s := range strings.FieldsSeq(c.in) {
				in = append(in, network.IPAddress(netip.AddrPortFrom(netip.MustParseAddr(s), 80)))
			}
			var got []string
			for _, a := range c.config.order(in) {
				got = append(got, a.Addr().String())
			}
			if s := strings.Join(got, " "); s != c.want {
				t.Errorf("got %s, want %s", s, c.want)
			}
		})
	}
}
