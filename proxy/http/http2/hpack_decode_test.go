package http2

import (
	"fmt"
	"strings"
	"testing"

	"golang.org/x/net/http2/hpack"
)

// collector is a hpackSink that writes down what comes.
type collector struct {
	lines     []string
	allocated int // bytes
}

func (c *collector) alloc(n int) []byte {
	c.allocated += n
	return make([]byte, n)
}
func (c *collector) field(f hpackField) {
	c.lines = append(c.lines, fmt.Sprint(f.name, "=", f.value, " ", f.never))
}

// FuzzDecoder decodes any blocks, cut anywhere, and by package hpack as well:
// both must find the same fields, or none to be right.
func FuzzDecoder(f *testing.F) {
	w := newWire()
	f.Add(append([]byte{}, w.fields(with(get, "x-a: b", "cookie: c", "x-a: b")...)...), uint16(3))
	f.Add([]byte{0x3f, 0xe1, 0x1f, 0x82, 0x10, 1, 'x', 1, 'y', 0x40, 1, 'n', 0x83, 0xff, 0xff, 0xff, 0xbe}, uint16(1))
	f.Add([]byte{0x20, 0x40, 1, 'a', 1, 'b', 0xbe}, uint16(9))
	f.Add([]byte{0x20, 0x3f, 0xe1, 0x1f, 0x40, 1, 'a', 1, 'b'}, uint16(9))
	f.Fuzz(func(t *testing.T, raw []byte, seed uint16) {
		ours := hpackDecoder{max: 4096, allowed: 4096, longest: 1 << 20}
		var theirLines []string
		theirs := hpack.NewDecoder(4096, func(f hpack.HeaderField) {
			theirLines = append(theirLines, fmt.Sprint(f.Name, "=", f.Value, " ", f.Sensitive))
		})
		for range 2 { // the second time with what the first has left in the table
			var got collector
			at, err := 0, hpackOK
			for _, c := range cutsOf(len(raw), seed) {
				if err == hpackOK {
					err = ours.decode(raw[at:c], false, &got)
				}
				at = c
			}
			if err == hpackOK {
				err = ours.decode(raw[at:], true, &got)
			}
			theirLines = nil
			_, theirErr := theirs.Write(raw)
			if theirErr == nil {
				theirErr = theirs.Close()
			}
			if err == hpackLateUpdate || theirErr != nil && strings.Contains(theirErr.Error(), "size update MUST") {
				return // package hpack takes late ones while the table is empty, and else not even a second one
			}
			if (err != hpackOK) != (theirErr != nil) {
				t.Fatalf("ours ends with %v after %q, theirs with %v after %q", err, got.lines, theirErr, theirLines)
			}
			if err != hpackOK {
				return
			}
			if a, b := strings.Join(got.lines, "\n"), strings.Join(theirLines, "\n"); a != b {
				t.Fatalf("ours:\n%s\ntheirs:\n%s", a, b)
			}
		}
	})
}

// TestTableSizeUpdates: two may begin a block, whatever the table holds; no
// more, and none later.
func TestTableSizeUpdates(t *testing.T) {
	field := []byte{0x40, 1, 'a', 1, 'b'}
	for _, test := range []struct {
		updates []byte
		want    hpackError
	}{
		{nil, hpackOK},
		{[]byte{0x20}, hpackOK},
		{[]byte{0x30, 0x3f, 0xe1, 0x1f}, hpackOK},
		{[]byte{0x30, 0x30}, hpackOK},
		{append(field, 0x20), hpackLateUpdate},
		{[]byte{0x30, 0x30, 0x30}, hpackLateUpdate},
	} {
		d := hpackDecoder{max: 4096, allowed: 4096, longest: 1 << 20}
		var got collector
		if err := d.decode(field, true, &got); err != hpackOK {
			t.Fatal(err)
		}
		if err := d.decode(append(test.updates, field...), true, &got); err != test.want {
			t.Errorf("%x: %v, want %v", test.updates, err, test.want)
		}
	}
}

// TestDecodesOnce: a field that comes byte by byte takes no more memory than
// one that comes at once.
func TestDecodesOnce(t *testing.T) {
	name, value := strings.Repeat("n", 10_000), strings.Repeat("v", 300)
	d := hpackDecoder{max: 4096, allowed: 4096, longest: 1 << 20}
	var got collector
	p := appendLiteral(nil, 0, 4, 0, name, value)
	for i := range p {
		if err := d.decode(p[i:i+1], i == len(p)-1, &got); err != hpackOK {
			t.Fatal(err)
		}
	}
	if len(got.lines) != 1 || got.lines[0] != name+"="+value+" false" {
		t.Errorf("%.50q", got.lines)
	}
	if most := 2 * len(p); got.allocated > most {
		t.Errorf("%d bytes allocated for %d", got.allocated, len(p))
	}
}

// TestHuffman decodes each character, and refuses what is no padding.
func TestHuffman(t *testing.T) {
	for c := range 256 {
		for n := range 10 {
			s := strings.Repeat(string([]byte{byte(c)}), n)
			got, ok := huffmanCode.decode(nil, hpack.AppendHuffmanString(nil, s))
			if !ok || string(got) != s {
				t.Fatalf("%q: got %q, %v", s, got, ok)
			}
		}
	}
	for _, bad := range []string{"\xff", "\x00", "\xff\xff\xff\xff", "\xff\xff\xff\xfc"} {
		if got, ok := huffmanCode.decode(nil, []byte(bad)); ok {
			t.Errorf("%q is taken for %q", bad, got)
		}
	}
}

// BenchmarkDecode decodes fields that are sent as literals every time.
func BenchmarkDecode(b *testing.B) {
	r := newServerRig(b, nil)
	q := &quick{}
	c := NewServer(r.conn, q, &r.set).(*server)
	var p []byte
	for _, f := range [][2]string{{"authorization", "Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"}, {"x-request-id", "6f1c2b3a-7d5e-4f10-9a8b-1c2d3e4f5a6b"}, {"date", "Fri, 27 Nov 2026 17:12:49 GMT"}} {
		p = appendLiteral(p, 0x10, 4, 0, f[0], f[1])
	}
	b.ReportAllocs()
	for b.Loop() {
		q.req.Reset()
		c.block = block{h: &q.req}
		if c.dec.decode(p, true, c) != hpackOK {
			b.Fatal("malformed")
		}
	}
}
