package http2

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/http2/hpack"

	"github.com/weirproxy/weir/proxy/http"
)

// cutsOf makes ascending cut points of n bytes from a seed.
func cutsOf(n int, seed uint16) (cuts []int) {
	x := uint32(seed) | 1
	for at := 0; len(cuts) < 64; {
		x = x*1664525 + 1013904223
		if at += 1 + int(x>>24)%(1+int(seed)%40); at >= n {
			break
		}
		cuts = append(cuts, at)
	}
	return cuts
}

// seeds are byte streams of each kind of frame, without the preface.
func seeds(f *testing.F, add func([]byte)) {
	for _, make := range []func(*wire){
		func(w *wire) { w.head(1, true, get...); w.head(3, false, post...); w.WriteData(3, true, []byte("abc")) },
		func(w *wire) {
			w.head(1, false, post...)
			w.WriteDataPadded(1, false, []byte("abc"), []byte{0, 0})
			w.head(1, true, "x: y")
		},
		func(w *wire) { w.head(1, false, ":status: 200"); w.WriteData(1, true, []byte("abc")) },
		func(w *wire) {
			w.head(1, false, ":status: 103")
			w.head(1, true, ":status: 200", "grpc-status: 0")
			w.WriteGoAway(1, 0, nil)
		},
		func(w *wire) { w.WritePing(false, [8]byte{}); w.WriteWindowUpdate(0, 5); w.WriteRSTStream(1, 8) },
	} {
		w := newWire()
		w.WriteSettings()
		make(w)
		add(w.Buffer.Bytes())
	}
}

// FuzzServer feeds any bytes behind the preface: what the user gets and what
// goes out must not depend on how they are cut, and what goes out can be read.
func FuzzServer(f *testing.F) {
	seeds(f, func(p []byte) { f.Add(p, uint16(5)) })
	f.Fuzz(func(t *testing.T, raw []byte, seed uint16) {
		run := func(cuts []int) string {
			r := newServerRig(t, func(s *Settings) { s.AllowConnect, s.StreamErrors = true, seed%2 == 0 })
			r.w.Buffer.Reset()
			r.w.WriteString(preface)
			r.w.Write(raw)
			r.send(cuts...)
			var bodies []string
			for _, x := range r.u.streams {
				bodies = append(bodies, x.body)
			}
			out := frames(t, r.conn)
			if r.in.Len() > 9+minMaxFrame {
				t.Errorf("%d bytes are kept", r.in.Len())
			}
			live := len(r.u.log)
			r.codec.(*server).OnConnectionClosed()
			r.turn()
			slices.Sort(r.u.log[live:]) // streams end in any order
			if n := r.stats.StreamsActive.Value() + r.stats.PendingSendBytes.Value(); n != 0 {
				t.Errorf("%d streams or bytes are left", n)
			}
			return strings.Join(append(r.u.log, append(bodies, out...)...), "\n")
		}
		if whole, cut := run(nil), run(cutsOf(len(preface)+len(raw), seed)); whole != cut {
			t.Errorf("cut:\n%s\nwhole:\n%s", cut, whole)
		}
	})
}

// FuzzClient feeds any bytes to a client with three requests under way: each
// ends once.
func FuzzClient(f *testing.F) {
	seeds(f, func(p []byte) { f.Add(p) })
	f.Fuzz(func(t *testing.T, raw []byte) {
		r := newClientRig(t, nil)
		r.w.Buffer.Reset()
		r.ask(true, get...)
		r.ask(false, post...)
		r.ask(false, with(get, "connection: upgrade", "upgrade: x")...)
		r.w.Write(raw)
		r.send()
		r.codec.(*client).OnConnectionClosed()
		r.turn()
		if n := r.stats.StreamsActive.Value(); n != 0 || r.a.ended != 3 {
			t.Errorf("%d streams are left, %d have ended", n, r.a.ended)
		}
	})
}

// FuzzEncoder encodes any fields; package hpack must read the same.
func FuzzEncoder(f *testing.F) {
	f.Add([]byte("name\x00value\x00:path\x00/\x00name\x00value"), uint16(100))
	f.Fuzz(func(t *testing.T, raw []byte, size uint16) {
		e := hpackEncoder{max: 4096}
		e.setMax(uint32(size))
		var got, want []string
		d := hpack.NewDecoder(4096, func(f hpack.HeaderField) { got = append(got, f.Name, f.Value) })
		d.SetAllowedMaxDynamicTableSize(1 << 16)
		parts := bytes.Split(raw, []byte{0})
		p := e.begin(nil)
		for i := 0; i+1 < len(parts); i += 2 {
			name, value := string(parts[i]), string(parts[i+1])
			want = append(want, name, value)
			p = e.field(p, http.LookupID(name), name, value, len(value)%3 == 0)
		}
		if _, err := d.Write(p); err != nil {
			t.Fatal(err)
		}
		if strings.Join(got, "\x00") != strings.Join(want, "\x00") {
			t.Errorf("%q, want %q", got, want)
		}
	})
}
