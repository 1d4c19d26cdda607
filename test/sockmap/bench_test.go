//go:build costs

package sockmap

import (
	"testing"

	"golang.org/x/sys/unix"
)

// ways are the states of a pair, from none in a map to both redirected.
var ways = []struct {
	name  string
	setUp func(*pair)
}{
	{"tcp", func(*pair) {}},
	{"passes", (*pair).intoMap},
	{"redirected", func(p *pair) { p.intoMap(); p.redirected() }},
	{"both", func(p *pair) { p.intoMap(); p.redirected(); p.redirectedBack() }},
}

// read is read(2) of a blocking socket that may be in a map: it is asked again
// when a signal of Go's has ended its wait.
func read(fd int, buf []byte) (n int, err error) {
	for err = unix.EAGAIN; err == unix.EAGAIN; {
		n, err = unix.Read(fd, buf)
	}
	return n, err
}

// 200 bytes there and back, each end a thread that waits.
func BenchmarkRoundTrip(b *testing.B) {
	for _, w := range ways {
		b.Run(w.name, func(b *testing.B) {
			p := newPair(b)
			w.setUp(p)
			go echo(p.proxy)
			buf := make([]byte, 200)
			for b.Loop() {
				_, err := unix.Write(p.app, buf)
				must(b, err)
				_, err = read(p.app, buf)
				must(b, err)
			}
		})
	}
}

func echo(fd int) {
	buf := make([]byte, 200)
	for {
		n, err := read(fd, buf)
		if n <= 0 || err != nil {
			return
		}
		unix.Write(fd, buf[:n])
	}
}

// 1 MiB one way, to a peer that reads it. Before the next one the peer says that
// it has read: what is redirected would pile up.
func BenchmarkLarge(b *testing.B) {
	const size = 1 << 20
	for _, w := range ways[:3] {
		b.Run(w.name, func(b *testing.B) {
			p := newPair(b)
			w.setUp(p)
			b.SetBytes(size)
			next, fd := make(chan bool), p.app
			go func() {
				buf := make([]byte, size)
				for range next {
					unix.Write(fd, buf)
				}
			}()
			buf := make([]byte, 128<<10)
			for b.Loop() {
				next <- true
				for left := size; left > 0; {
					n, err := read(p.proxy, buf[:min(left, len(buf))])
					must(b, err)
					left -= n
				}
			}
			close(next)
		})
	}
}
