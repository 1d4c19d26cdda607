package http2

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"golang.org/x/net/http2/hpack"

	"github.com/weirproxy/weir/proxy/http"
)

// TestEncoderAgainstDecoder encodes random sections, with table sizes that
// change, and decodes them by package hpack.
func TestEncoderAgainstDecoder(t *testing.T) {
	names := []string{":path", "user-agent", "x-a", "x-longer-name", "content-type", "cookie", "authorization", "accept-charset", "date", "traceparent"}
	for seed := range uint64(100) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		e := hpackEncoder{max: 4096}
		var got []hpack.HeaderField
		d := hpack.NewDecoder(4096, func(f hpack.HeaderField) { got = append(got, f) })
		d.SetAllowedMaxDynamicTableSize(8192)
		scratch := make([]byte, 0, 64) // reused, as a HeaderMap's memory is
		for range 200 {
			if rnd.IntN(20) == 0 {
				e.setMax([]uint32{0, 100, 1000, 4096, 8192}[rnd.IntN(5)])
			}
			got = got[:0]
			p := e.begin(nil)
			var want []string
			for range rnd.IntN(10) {
				scratch = fmt.Appendf(scratch[:0], "%s%d", strings.Repeat("v~", rnd.IntN(20)), rnd.IntN(30))
				name, value, never := names[rnd.IntN(len(names))], text(scratch), rnd.IntN(8) == 0
				want = append(want, fmt.Sprint(name, "=", value, never))
				p = e.field(p, http.LookupID(name), name, value, never)
			}
			if _, err := d.Write(p); err != nil {
				t.Fatal(seed, err)
			}
			if err := d.Close(); err != nil {
				t.Fatal(seed, err)
			}
			for i, f := range got {
				if have := fmt.Sprint(f.Name, "=", f.Value, f.Sensitive); have != want[i] {
					t.Fatalf("seed %d: %s, want %s", seed, have, want[i])
				}
			}
			if len(got) != len(want) {
				t.Fatalf("seed %d: %d fields, want %d", seed, len(got), len(want))
			}
			var size uint32
			for _, x := range e.entries[e.first:] {
				size += x.size()
			}
			if size != e.size || size > e.max {
				t.Fatalf("the table counts %d bytes, has %d, may have %d", e.size, size, e.max)
			}
		}
	}
}

// TestSecretsAreNeverIndexed looks at the representations that go out.
func TestSecretsAreNeverIndexed(t *testing.T) {
	r := newClientRig(t, nil)
	lines := with(get, "authorization: Basic c2VjcmV0", "proxy-authorization: x", "cookie: short=1", "cookie: session=0123456789abcdef", "x-own: v", "x-plain: v")
	q := &request{a: r.a}
	for _, l := range lines {
		name, value, _ := strings.Cut(l, ": ")
		q.req.AddName(name, value)
		if name == "x-own" {
			q.req.MarkSensitive() // as one that came so
		}
	}
	enc := r.codec.NewStream(q)
	r.conn.Out().Reset()
	if err := enc.EncodeHeaders(&q.req, true); err != nil {
		t.Fatal(err)
	}
	block := r.conn.Out().Bytes()[frameHeaderLen:]
	never := map[string]bool{}
	d := hpack.NewDecoder(4096, func(f hpack.HeaderField) { never[f.Name+"="+f.Value] = f.Sensitive })
	if _, err := d.Write(block); err != nil {
		t.Fatal(err)
	}
	for f, want := range map[string]bool{"authorization=Basic c2VjcmV0": true, "proxy-authorization=x": true, "cookie=short=1": true,
		"cookie=session=0123456789abcdef": false, "x-own=v": true, "x-plain=v": false} {
		if got, ok := never[f]; got != want || !ok {
			t.Errorf("%s: never indexed %v, want %v", f, got, want)
		}
	}
}

// TestSensitiveSurvives: a field that came as one never to be indexed is
// marked in the map (RFC 7541 section 7.1.3).
func TestSensitiveSurvives(t *testing.T) {
	r := newServerRig(t, nil)
	p := append(r.w.fields(get...), 0x10, 3, 'x', '-', 's', 1, 'v')
	r.w.WriteRawFrame(1, 5, 1, p)
	r.send()
	for l := range r.u.streams[0].req.All {
		if l.Sensitive != (l.Name == "x-s") {
			t.Errorf("%s: sensitive %v", l.Name, l.Sensitive)
		}
	}
}

func BenchmarkEncode(b *testing.B) {
	e := hpackEncoder{max: 4096}
	var h http.HeaderMap
	for _, l := range with(get, "user-agent: Mozilla/5.0 (X11; Linux x86_64)", "accept: application/json, text/plain, */*", "accept-language: en-GB,en;q=0.9",
		"cookie: session=0123456789abcdef0123456789abcdef; theme=dark", "x-request-id: 6f1c2b3a-7d5e-4f10-9a8b-1c2d3e4f5a6b", "x-forwarded-proto: http", "x-unknown: v") {
		name, value, _ := strings.Cut(l, ": ")
		h.AddName(name, value)
	}
	var p []byte
	b.ReportAllocs()
	for b.Loop() {
		p = e.begin(p[:0])
		lines := h.Lines()
		for i := range lines {
			p = e.field(p, lines[i].ID, lines[i].Name, lines[i].Value, false)
		}
	}
}
