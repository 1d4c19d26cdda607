package proxyprotocol

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"
)

// v2 makes a version 2 header.
func v2(verCmd, family byte, body ...[]byte) []byte {
	all := bytes.Join(body, nil)
	p := append([]byte(signature2), verCmd, family)
	p = binary.BigEndian.AppendUint16(p, uint16(len(all)))
	return append(p, all...)
}

func tlv(kind byte, value string) []byte {
	return append(binary.BigEndian.AppendUint16([]byte{kind}, uint16(len(value))), value...)
}

var (
	ip4 = []byte{9, 9, 9, 9, 8, 8, 8, 8, 0x04, 0xd2, 0, 80}
	ip6 = append(append(bytes.Repeat([]byte{0x20}, 16), bytes.Repeat([]byte{0x30}, 16)...), 0x04, 0xd2, 0, 80)
)

func TestParse(t *testing.T) {
	both := versions{true, true}
	for _, c := range []struct {
		name, in string
		want     versions
		out      string // "src>dst", "local", or "" for an error
		err      string // a part of it
	}{
		{"v1 tcp4", "PROXY TCP4 9.9.9.9 8.8.8.8 1234 80\r\n", both, "9.9.9.9:1234>8.8.8.8:80", ""},
		{"v1 tcp6", "PROXY TCP6 2001:db8::1 ::2 1 65535\r\n", both, "[2001:db8::1]:1>[::2]:65535", ""},
		{"v1 port 0", "PROXY TCP4 9.9.9.9 8.8.8.8 0 80\r\n", both, "9.9.9.9:0>8.8.8.8:80", ""},
		{"v1 unknown", "PROXY UNKNOWN\r\n", both, "local", ""},
		{"v1 unknown with addresses", "PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n", both, "local", ""},
		{"v1 bare LF", "PROXY TCP4 9.9.9.9 8.8.8.8 1234 80\n" + strings.Repeat("x", 100), both, "", "end of line"},
		{"v1 too long", "PROXY UNKNOWN" + strings.Repeat(" ", 100), both, "", "end of line"},
		{"v1 v6 address in TCP4", "PROXY TCP4 ::1 8.8.8.8 1234 80\r\n", both, "", "not an address"},
		{"v1 zone", "PROXY TCP6 fe80::1%eth0 ::2 1 2\r\n", both, "", "not an address"},
		{"v1 words", "PROXY TCP4 9.9.9.9 8.8.8.8 1234\r\n", both, "", "words"},
		{"v1 two spaces", "PROXY TCP4  9.9.9.9 8.8.8.8 1234 80\r\n", both, "", "words"},
		{"v1 port", "PROXY TCP4 9.9.9.9 8.8.8.8 1234 65536\r\n", both, "", "port"},
		{"v1 signed port", "PROXY TCP4 9.9.9.9 8.8.8.8 +1 80\r\n", both, "", "port"},
		{"v1 leading zero", "PROXY TCP4 9.9.9.9 8.8.8.8 01 80\r\n", both, "", "port"},
		{"v1 protocol", "PROXY UDP4 9.9.9.9 8.8.8.8 1 80\r\n", both, "", "protocol"},
		{"v1 multicast", "PROXY TCP4 224.0.0.1 8.8.8.8 1 80\r\n", both, "", "unicast"},
		{"v1 any", "PROXY TCP4 9.9.9.9 0.0.0.0 1 80\r\n", both, "", "unicast"},
		{"v1 lower case", "proxy TCP4 9.9.9.9 8.8.8.8 1 80\r\n", both, "", "no PROXY"},
		{"v1 not wanted", "PROXY TCP4 9.9.9.9 8.8.8.8 1234 80\r\n", versions{v2: true}, "", "no PROXY"},
		{"v2 ip4", string(v2(0x21, 0x11, ip4)), both, "9.9.9.9:1234>8.8.8.8:80", ""},
		{"v2 ip6", string(v2(0x21, 0x21, ip6)), both, "[2020:2020:2020:2020:2020:2020:2020:2020]:1234>[3030:3030:3030:3030:3030:3030:3030:3030]:80", ""},
		{"v2 with TLVs", string(v2(0x21, 0x11, ip4, tlv(1, "h2"), tlv(2, ""))), both, "9.9.9.9:1234>8.8.8.8:80 1=h2 2=", ""},
		{"v2 local", string(v2(0x20, 0x00)), both, "local", ""},
		{"v2 local with addresses", string(v2(0x20, 0x11, ip4)), both, "local", ""},
		{"v2 unix", string(v2(0x21, 0x31, make([]byte, 216))), both, "", "family"},
		{"v2 unspecified", string(v2(0x21, 0x00)), both, "", "family"},
		{"v2 local unix", string(v2(0x20, 0x31)), both, "local", ""},
		{"v2 version", string(v2(0x11, 0x11, ip4)), both, "", "version"},
		{"v2 command", string(v2(0x22, 0x11, ip4)), both, "", "command"},
		{"v2 short addresses", string(v2(0x21, 0x21, ip4)), both, "", "addresses"},
		{"v2 TLV cut off", string(v2(0x21, 0x11, ip4, tlv(1, "h2")[:4])), both, "", "cut off"},
		{"v2 TLV header cut off", string(v2(0x21, 0x11, ip4, []byte{1, 0})), both, "", "cut off"},
		{"v2 not wanted", string(v2(0x21, 0x11, ip4)), versions{v1: true}, "", "no PROXY"},
		{"something else", "GET / HTTP/1.1\r\n", both, "", "no PROXY"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h, err := parse([]byte(c.in+"rest"), c.want)
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Fatalf("error %v, want one with %q", err, c.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if h.size != len(c.in) {
				t.Errorf("size %d, want %d", h.size, len(c.in))
			}
			if got := describe(h); got != c.out {
				t.Errorf("got %s, want %s", got, c.out)
			}
			for i := range len(c.in) {
				if _, err := parse([]byte(c.in[:i]), c.want); err != errIncomplete {
					t.Fatalf("of %d bytes: %v, want errIncomplete", i, err)
				}
			}
		})
	}
}

func describe(h header) string {
	if h.local {
		return "local"
	}
	s := h.src.String() + ">" + h.dst.String()
	for kind, v := range h.TLVs {
		s += " " + string('0'+rune(kind)) + "=" + string(v)
	}
	return s
}

// FuzzParse checks that what is parsed does not depend on what follows, and
// that no shorter input parses.
func FuzzParse(f *testing.F) {
	f.Add([]byte("PROXY TCP4 9.9.9.9 8.8.8.8 1234 80\r\nrest"))
	f.Add([]byte("PROXY UNKNOWN\r\n"))
	f.Add(v2(0x21, 0x11, ip4, tlv(1, "h2")))
	f.Add(v2(0x21, 0x21, ip6))
	f.Add(v2(0x20, 0x00))
	f.Fuzz(func(t *testing.T, p []byte) {
		both := versions{true, true}
		h, err := parse(p, both)
		if err != nil {
			return
		}
		if h.size > len(p) || h.size <= 0 {
			t.Fatalf("size %d of %d bytes", h.size, len(p))
		}
		if short, err := parse(p[:h.size], both); err != nil || describe(short) != describe(h) {
			t.Fatalf("alone it is %v, %v", short, err)
		}
		if _, err := parse(p[:h.size-1], both); err != errIncomplete {
			t.Fatalf("cut short: %v", err)
		}
	})
}
