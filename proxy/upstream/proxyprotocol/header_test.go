package proxyprotocol

import (
	"net/netip"
	"testing"

	"github.com/weirproxy/weir/proxy/network"
)

func TestHeaders(t *testing.T) {
	a, b := netip.MustParseAddrPort("9.9.9.9:1234"), netip.MustParseAddrPort("8.8.8.8:80")
	a6, b6 := netip.MustParseAddrPort("[2001:db8::1]:1234"), netip.MustParseAddrPort("[2001:db8::2]:80")
	mapped := netip.MustParseAddrPort("[::ffff:9.9.9.9]:1234")
	for _, tt := range []struct {
		src, dst netip.AddrPort
		want     string
	}{
		{a, b, "PROXY TCP4 9.9.9.9 8.8.8.8 1234 80\r\n"},
		{mapped, b, "PROXY TCP4 9.9.9.9 8.8.8.8 1234 80\r\n"},
		{a6, b6, "PROXY TCP6 2001:db8::1 2001:db8::2 1234 80\r\n"},
		{a, b6, "PROXY UNKNOWN\r\n"},
		{netip.AddrPort{}, b, "PROXY UNKNOWN\r\n"},
	} {
		if got := string(header1(tt.src, tt.dst)); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
	for _, tt := range []struct {
		src, dst netip.AddrPort
		want     string
	}{
		{a, b, signature2 + "\x21\x11\x00\x11\x09\x09\x09\x09\x08\x08\x08\x08\x04\xd2\x00\x50\xe0\x00\x02hi"},
		{netip.AddrPort{}, b, signature2 + "\x20\x00\x00\x00"},
	} {
		if got := string(header2(tt.src, tt.dst, []network.TLV{{Type: 0xe0, Value: []byte("hi")}})); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
	if got := header2(a6, b6, nil); len(got) != 16+36 || got[13] != 0x21 {
		t.Errorf("IPv6: %q", got)
	}
	// What does not fit is left out.
	if got := header2(a, b, []network.TLV{{Value: make([]byte, 0xffff)}}); len(got) != 16+12 {
		t.Errorf("%d bytes", len(got))
	}
}

func TestTLVs(t *testing.T) {
	tr := &transport{added: []network.TLV{{Type: 2, Value: []byte("new")}}, pass: &passThrough{}}
	tr.pass.kinds[2], tr.pass.kinds[3] = true, true
	got := tr.tlvs(decodeTLVs("\x01\x00\x01a\x02\x00\x01b\x03\x00\x01c\x04"))
	if len(got) != 2 || got[0].Type != 2 || string(got[0].Value) != "new" || got[1].Type != 3 {
		t.Errorf("%v", got)
	}
}

func FuzzDecodeTLVs(f *testing.F) {
	f.Add("\x01\x00\x01a")
	f.Fuzz(func(t *testing.T, s string) { decodeTLVs(s) })
}
