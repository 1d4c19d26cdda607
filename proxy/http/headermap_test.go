package http

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
)

func lines(h *HeaderMap) (out []string) {
	for l := range h.All {
		out = append(out, l.Name+": "+l.Value)
	}
	return out
}

// TestLookupID finds every name, and nothing else.
func TestLookupID(t *testing.T) {
	for id := Unknown + 1; id < NumHeaderIDs; id++ {
		if id.Name() == "" {
			t.Fatalf("ID %d has no name", id)
		}
		if got := LookupID(id.Name()); got != id {
			t.Errorf("%q: ID %d, want %d", id.Name(), got, id)
		}
		if got := LookupID([]byte(id.Name())); got != id {
			t.Errorf("%q as bytes: ID %d, want %d", id.Name(), got, id)
		}
		for _, near := range []string{id.Name() + "x", id.Name()[1:], strings.ToUpper(id.Name()), id.Name()[:len(id.Name())-1] + "\x00"} {
			if got := LookupID(near); got != Unknown && got.Name() != near {
				t.Errorf("%q is taken for %q", near, got.Name())
			}
		}
	}
	for _, name := range []string{"", "x", "x-none", strings.Repeat("a", 1000), "\xff\xff\xff"} {
		if got := LookupID(name); got != Unknown {
			t.Errorf("%q is taken for %q", name, got.Name())
		}
	}
}

// TestHeaderMapModel does random operations on a map and on a plain list.
func TestHeaderMapModel(t *testing.T) {
	names := []string{"cookie", "host", ":path", "x-a", "x-b", "content-length", "via"}
	for seed := range uint64(50) {
		rnd := rand.New(rand.NewPCG(seed, 2))
		var h HeaderMap
		var model [][2]string
		remove := func(from int, name string) (n int) {
			kept := model[:from:from]
			for _, l := range model[from:] {
				if l[0] == name {
					n++
				} else {
					kept = append(kept, l)
				}
			}
			model = kept
			return n
		}
		find := func(name string) int {
			for i, l := range model {
				if l[0] == name {
					return i
				}
			}
			return -1
		}
		for step := range 200 {
			name, value := names[rnd.IntN(len(names))], fmt.Sprint("v", step)
			switch rnd.IntN(8) {
			case 0, 1, 2:
				h.AddName(name, value)
				model = append(model, [2]string{name, value})
			case 3:
				h.SetName(name, value)
				if i := find(name); i >= 0 {
					model[i][1] = value
					remove(i+1, name)
				} else {
					model = append(model, [2]string{name, value})
				}
			case 4:
				if got, want := h.RemoveName(name), remove(0, name); got != want {
					t.Fatalf("removed %d lines, want %d", got, want)
				}
			case 5:
				drop := func(v string) bool { return strings.HasSuffix(v, "3") }
				h.RemoveIf(func(l *Header) bool { return drop(l.Value) })
				var kept [][2]string
				for _, l := range model {
					if !drop(l[1]) {
						kept = append(kept, l)
					}
				}
				model = kept
			case 6:
				var values []string
				for _, l := range model {
					if l[0] == name {
						values = append(values, l[1])
					}
				}
				got, ok := h.Joined(name)
				if ok != (len(values) > 0) || got != strings.Join(values, ",") {
					t.Fatalf("Joined %q %v, want %q", got, ok, values)
				}
				if got := h.Values(name); !reflect.DeepEqual(got, values) {
					t.Fatalf("Values %q, want %q", got, values)
				}
			case 7:
				if rnd.IntN(20) == 0 {
					h.Reset()
					model = nil
				}
			}
			var want []string
			size := 0
			for _, l := range model {
				want = append(want, l[0]+": "+l[1])
				size += len(l[0]) + len(l[1])
			}
			if got := lines(&h); !reflect.DeepEqual(got, want) || h.Len() != len(want) || h.Bytes() != size {
				t.Fatalf("seed %d step %d:\n%q, Len %d, Bytes %d\nwant\n%q, Bytes %d", seed, step, got, h.Len(), h.Bytes(), want, size)
			}
			for _, n := range names {
				value, ok := h.GetName(n)
				i := find(n)
				if ok != (i >= 0) || ok && value != model[i][1] {
					t.Fatalf("GetName(%q) = %q %v", n, value, ok)
				}
			}
		}
	}
}

func TestHeaderMapAppend(t *testing.T) {
	var h HeaderMap
	h.Append(Via, ",", "a")
	h.Append(Via, ", ", "b")
	if got := h.Get(Via); got != "a, b" || h.Bytes() != len("viaa, b") {
		t.Errorf("%q, %d bytes", got, h.Bytes())
	}
}

func TestHeaderMapInt(t *testing.T) {
	var h HeaderMap
	for _, n := range []int64{0, 9, 10, 99, 100, 999, 1000, 1 << 40, -1} {
		if got := h.Int(n); got != fmt.Sprint(n) {
			t.Errorf("%d: %q", n, got)
		}
	}
}

// TestCopyFromOwns copies a map whose source is then used for another message.
func TestCopyFromOwns(t *testing.T) {
	var src, dst HeaderMap
	p := src.Alloc(16)
	copy(p, "cookiex-amine")
	src.AddName(src.Own("cookie"), src.Own("mine"))
	src.AddName(src.Own("x-a"), src.Own("mine"))
	dst.CopyFrom(&src)
	src.Reset()
	clear(src.Alloc(1 << 10))
	if got := lines(&dst); !reflect.DeepEqual(got, []string{"cookie: mine", "x-a: mine"}) {
		t.Errorf("the copy changed with its source: %q", got)
	}
}

// TestArenaSettles uses a map for messages of one size until it needs no
// memory, and sees that a huge one is not kept.
func TestArenaSettles(t *testing.T) {
	var h HeaderMap
	for _, size := range []int{100, 3000, 9000} {
		turn := func() {
			h.Reset()
			for range size / 50 {
				h.Alloc(50)
			}
		}
		turn()
		turn()
		if n := testing.AllocsPerRun(10, turn); n != 0 {
			t.Errorf("%d bytes: %v allocations", size, n)
		}
	}
	h.Alloc(1 << 20)
	h.Reset()
	if n := len(h.arena.block); n > maxKept {
		t.Errorf("%d bytes are kept", n)
	}
}

func BenchmarkHeaderMap(b *testing.B) {
	var h HeaderMap
	b.ReportAllocs()
	for b.Loop() {
		h.Reset()
		h.Add(Method, "GET")
		h.Add(Path, "/")
		h.AddName("user-agent", "x")
		h.AddName("x-unknown", "x")
		h.Set(XForwardedProto, "http")
		h.SetInt(XEnvoyUpstreamServiceTime, 12)
		h.Remove(UserAgent)
	}
}

func BenchmarkLookupID(b *testing.B) {
	names := []string{"host", "user-agent", "accept", "accept-encoding", "x-request-id", "x-b3-traceid", "authorization"}
	for b.Loop() {
		for _, n := range names {
			LookupID(n)
		}
	}
}

func TestResetForgetsOddNames(t *testing.T) {
	var h HeaderMap
	h.AddName("no name", "x")
	if !h.Odd() || h.Unencodable() == nil {
		t.Error("a name with a space can be sent")
	}
	h.Reset()
	if h.Odd() || h.Unencodable() != nil {
		t.Error("a map that is used again keeps the oddness of its last content")
	}
}
