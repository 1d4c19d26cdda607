package network

import (
	"bytes"
	"io"
	"math/rand/v2"
	"testing"

	"golang.org/x/sys/unix"
)

func newBuffer(p *Pool) *Buffer {
	b := &Buffer{}
	b.Init(p)
	return b
}

// consistent checks a buffer's chain against its size.
func consistent(t *testing.T, b *Buffer, want []byte) {
	t.Helper()
	n := 0
	var last *slab
	for s := b.head; s != nil; last, s = s, s.next {
		n += s.len()
		if s.len() < 0 || s.own && len(s.mem) != SlabSize {
			t.Fatal("a slab is broken")
		}
	}
	if last != b.tail {
		t.Fatal("the tail is not the last slab")
	}
	if n != b.Len() || n != len(want) {
		t.Fatalf("%d bytes in slabs, Len %d, want %d", n, b.Len(), len(want))
	}
	if n == 0 && b.head != nil && b.head != b.tail {
		t.Fatal("an empty buffer holds slabs")
	}
	if got := b.Bytes(); !bytes.Equal(got, want) {
		t.Fatalf("content differs: %.40q, want %.40q", got, want)
	}
}

// TestBufferModel does random operations on buffers and on plain slices.
func TestBufferModel(t *testing.T) {
	for seed := range uint64(30) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		pool := &Pool{}
		bufs := [3]*Buffer{newBuffer(pool), newBuffer(pool), newBuffer(pool)}
		var model [3][]byte
		static := bytes.Repeat([]byte("static"), 4000)
		for range 300 {
			i, j := rnd.IntN(3), rnd.IntN(3)
			b := bufs[i]
			data := make([]byte, rnd.IntN(1<<rnd.IntN(16)))
			for k := range data {
				data[k] = byte(rnd.Uint32())
			}
			switch op := rnd.IntN(13); op {
			case 0:
				b.Append(data)
				model[i] = append(model[i], data...)
			case 1:
				b.AppendString(string(data))
				model[i] = append(model[i], data...)
			case 2:
				b.AppendByte('x')
				model[i] = append(model[i], 'x')
			case 3:
				p := static[:rnd.IntN(len(static))]
				b.AppendStatic(p)
				model[i] = append(model[i], p...)
			case 4:
				n := min(len(data), SlabSize)
				room := b.Reserve(n)
				b.Commit(copy(room, data[:n]))
				model[i] = append(model[i], data[:n]...)
			case 5:
				b.Reserve(1 + rnd.IntN(SlabSize)) // and nothing written
			case 6:
				n := rnd.IntN(len(model[i]) + 1)
				b.Drain(n)
				model[i] = model[i][n:]
			case 7, 8:
				n := len(model[j])
				if op == 7 {
					n = rnd.IntN(n + 1)
				}
				if i == j {
					continue
				}
				b.MoveN(bufs[j], n)
				model[i] = append(model[i], model[j][:n]...)
				model[j] = model[j][n:]
			case 9:
				n := rnd.IntN(len(model[i]) + 1)
				if got := b.Linearize(n); !bytes.Equal(got, model[i][:n]) {
					t.Fatal("Linearize differs")
				}
			case 10:
				p := make([]byte, rnd.IntN(40000))
				if n := b.CopyTo(p); !bytes.Equal(p[:n], model[i][:min(len(p), len(model[i]))]) {
					t.Fatal("CopyTo differs")
				}
			case 11:
				if front := b.Front(); !bytes.HasPrefix(model[i], front) || len(front) == 0 && len(model[i]) > 0 {
					t.Fatal("Front differs")
				}
			case 12:
				if rnd.IntN(5) == 0 {
					b.Reset()
					model[i] = nil
				}
			}
			consistent(t, b, model[i])
			consistent(t, bufs[j], model[j])
		}
		for _, b := range bufs {
			b.Reset()
			if b.head != nil || b.Len() != 0 {
				t.Fatal("Reset leaves something")
			}
		}
	}
}

// withPipe puts data, which stays in a pipe, at the end of b.
func withPipe(t *testing.T, b *Buffer, data string) {
	t.Helper()
	p, err := b.pool.getPipe()
	if err != nil {
		t.Fatal(err)
	}
	if n, err := unix.Write(p.w, []byte(data)); n != len(data) || err != nil {
		t.Fatal(n, err)
	}
	s := b.pool.head()
	s.pipe, s.w = p, len(data)
	b.push(s)
}

// TestBufferPipes looks at bytes that were left in the kernel.
func TestBufferPipes(t *testing.T) {
	big := string(bytes.Repeat([]byte("0123456789"), 5000))
	content := "head" + big + "tail"
	for name, look := range map[string]func(b *Buffer) string{
		"bytes":  func(b *Buffer) string { return string(b.Bytes()) },
		"pieces": func(b *Buffer) (s string) { b.Pieces(func(p []byte) bool { s += string(p); return true }); return s },
		"read":   func(b *Buffer) string { p, _ := io.ReadAll(b); return string(p) },
		"linear": func(b *Buffer) string { return string(b.Linearize(b.Len())) },
		"part": func(b *Buffer) string {
			to := newBuffer(b.pool)
			to.MoveN(b, 10)
			head := string(to.Bytes())
			to.Reset()
			return head + string(b.Bytes())
		},
		"drained": func(b *Buffer) string { b.Drain(10); return content[:10] + string(b.Bytes()) },
		"moved": func(b *Buffer) string {
			to := newBuffer(b.pool)
			to.Move(b)
			defer to.Reset()
			return string(to.Bytes())
		},
	} {
		t.Run(name, func(t *testing.T) {
			pool := &Pool{}
			defer pool.Close()
			b := newBuffer(pool)
			b.AppendString("head")
			withPipe(t, b, big)
			from := &Connection{}
			b.tail.pipe.from = from
			b.AppendString("tail")
			if got := look(b); got != content {
				t.Errorf("%d bytes, want %d", len(got), len(content))
			}
			if from.mayPipe() {
				t.Error("the next bytes, which will be looked at too, are left in the kernel again")
			}
			b.Reset()
			// A pipe that was emptied serves again.
			if name == "bytes" && len(pool.pipes) != 1 {
				t.Errorf("%d free pipes", len(pool.pipes))
			}
		})
	}
}

// TestBufferPipeDropped gives up a pipe that still has bytes in it: they must
// not turn up in the next one.
func TestBufferPipeDropped(t *testing.T) {
	pool := &Pool{}
	defer pool.Close()
	b := newBuffer(pool)
	withPipe(t, b, "secret of another connection")
	b.Reset()
	withPipe(t, b, "mine")
	if got := string(b.Bytes()); got != "mine" {
		t.Errorf("got %q", got)
	}
}

// TestPoolBounds fills the pool beyond what it keeps.
func TestPoolBounds(t *testing.T) {
	pool := &Pool{}
	b := newBuffer(pool)
	for range maxFreeSlabs + 10 {
		b.push(pool.get())
		b.Commit(1)
		b.AppendStatic([]byte("x"))
	}
	for range maxFreeHeads {
		b.AppendStatic([]byte("x"))
	}
	b.Reset()
	if pool.nfree != maxFreeSlabs || pool.nhead != maxFreeHeads {
		t.Errorf("%d slabs and %d heads are kept", pool.nfree, pool.nhead)
	}
	for s := pool.heads; s != nil; s = s.next {
		if s.mem != nil {
			t.Fatal("a free head keeps its memory alive")
		}
	}
}

// TestBufferNoAllocations holds the steady state of a buffer to none.
func TestBufferNoAllocations(t *testing.T) {
	pool := &Pool{}
	a, b := newBuffer(pool), newBuffer(pool)
	data := bytes.Repeat([]byte("x"), 3*SlabSize)
	turn := func() {
		a.Append(data)
		a.AppendStatic(data)
		b.MoveN(a, 2*SlabSize+100)
		b.Linearize(SlabSize)
		b.Move(a)
		b.Drain(b.Len())
	}
	turn()
	if n := testing.AllocsPerRun(100, turn); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzBuffer(f *testing.F) {
	f.Add([]byte{0, 200, 1, 100, 2, 50, 3, 255, 4, 1})
	f.Fuzz(func(t *testing.T, ops []byte) {
		pool := &Pool{}
		a, b := newBuffer(pool), newBuffer(pool)
		var ma, mb []byte
		for i := 0; i+1 < len(ops) && i < 200; i += 2 {
			n := int(ops[i+1]) * 97
			switch ops[i] % 5 {
			case 0:
				p := bytes.Repeat(ops[i:i+1], n)
				a.Append(p)
				ma = append(ma, p...)
			case 1:
				n = min(n, len(ma))
				b.MoveN(a, n)
				mb, ma = append(mb, ma[:n]...), ma[n:]
			case 2:
				n = min(n, len(mb))
				b.Drain(n)
				mb = mb[n:]
			case 3:
				a.Linearize(min(n, len(ma)))
			case 4:
				a.Move(b)
				ma, mb = append(ma, mb...), nil
			}
			consistent(t, a, ma)
			consistent(t, b, mb)
		}
	})
}
