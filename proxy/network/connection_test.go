package network

import (
	"bytes"
	"crypto/sha256"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weirproxy/weir/proxy/event"
)

// runLoop runs a loop for the test and returns it; do runs functions on it
// and waits.
func runLoop(t testing.TB) (l *Loop, do func(func())) {
	t.Helper()
	l, err := NewLoop("test", 1)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { l.Run(); close(done) }()
	t.Cleanup(func() { l.Exit(); <-done; l.Close() })
	return l, func(f func()) {
		ran := make(chan struct{})
		l.Post(func() { f(); close(ran) })
		<-ran
	}
}

// acceptor accepts on a socket of its own and gives each connection to open.
type acceptor struct {
	l    *Loop
	fd   int
	open func(*Connection)
	o    Options
}

func (a *acceptor) OnReady(event.Events) {
	for {
		fd, _, errno := Accept(a.fd)
		if errno != 0 {
			return
		}
		local, remote, err := SocketNames(fd)
		if err != nil {
			unix.Close(fd)
			continue
		}
		c, err := NewServerConnection(a.l, fd, local, remote, a.o)
		if err != nil {
			panic(err)
		}
		a.open(c)
	}
}

func listen(t testing.TB, l *Loop, do func(func()), o Options, open func(*Connection)) netip.AddrPort {
	t.Helper()
	fd, err := Listen(IPAddress(netip.MustParseAddrPort("127.0.0.1:0")), ListenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	addr, err := LocalName(fd)
	if err != nil {
		t.Fatal(err)
	}
	do(func() {
		if err := l.AddAcceptor(fd, &acceptor{l, fd, open, o}); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { do(func() { l.Remove(fd); unix.Close(fd) }) })
	return addr.AddrPort
}

// pipeFilter passes what it reads to another connection, with back-pressure.
type pipeFilter struct {
	c, to  *Connection
	splice bool
}

func (p *pipeFilter) OnNewConnection() FilterStatus { return Continue }
func (p *pipeFilter) OnData(b *Buffer, end bool) FilterStatus {
	p.to.Write(b, end)
	if p.splice {
		p.c.AllowSplice(1 << 40)
	}
	return StopIteration
}

type watch struct {
	NoCallbacks
	event        func(ConnectionEvent)
	above, below func()
}

// NoCallbacks is embedded by tests' callbacks.
type NoCallbacks struct{}

func (NoCallbacks) OnAboveWriteBufferHighWatermark() {}
func (NoCallbacks) OnBelowWriteBufferLowWatermark()  {}

func (w watch) OnEvent(e ConnectionEvent) {
	if w.event != nil {
		w.event(e)
	}
}
func (w watch) OnAboveWriteBufferHighWatermark() {
	if w.above != nil {
		w.above()
	}
}
func (w watch) OnBelowWriteBufferLowWatermark() {
	if w.below != nil {
		w.below()
	}
}

// TestProxyCarriesStreamsWhole sends streams through two connections tied
// together, by copying and by splice, and checks every byte and the half
// close, with an output buffer far smaller than the stream.
func TestProxyCarriesStreamsWhole(t *testing.T) {
	for _, splice := range []bool{false, true} {
		t.Run(map[bool]string{false: "copy", true: "splice"}[splice], func(t *testing.T) {
			back, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer back.Close()
			go func() {
				c, err := back.Accept()
				if err != nil {
					return
				}
				defer c.Close()
				// An echo that sums first, so that the half close matters.
				h := sha256.New()
				n, _ := io.Copy(h, c)
				time.Sleep(20 * time.Millisecond)
				c.Write(h.Sum(nil))
				c.Write(make([]byte, int(n)%3000))
			}()
			l, do := runLoop(t)
			o := Options{BufferLimit: 64 << 10, HalfClose: true}
			front := listen(t, l, do, o, func(down *Connection) {
				up, err := Dial(l, IPAddress(netip.MustParseAddrPort(back.Addr().String())), Address{}, nil, watch{}, o)
				if err != nil {
					t.Error(err)
					return
				}
				for _, p := range []struct{ a, b *Connection }{{down, up}, {up, down}} {
					p.a.AddCallbacks(watch{
						above: func() { p.b.ReadDisable(true) },
						below: func() { p.b.ReadDisable(false) },
						event: func(e ConnectionEvent) {
							if e != Connected {
								p.b.Close(FlushWrite)
							}
						},
					})
					p.a.BuildFilters([]FilterFactory{func(*ReadCallbacks) ReadFilter { return &pipeFilter{p.a, p.b, splice} }})
					p.a.Start()
				}
			})
			c, err := net.Dial("tcp", front.String())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			c.SetDeadline(time.Now().Add(20 * time.Second))
			data := bytes.Repeat([]byte("0123456789abcdef!"), 1<<20)
			sum := sha256.Sum256(data)
			if _, err := c.Write(data); err != nil {
				t.Fatal(err)
			}
			c.(*net.TCPConn).CloseWrite()
			got, err := io.ReadAll(c)
			if err != nil {
				t.Fatal(err)
			}
			if want := append(sum[:], make([]byte, len(data)%3000)...); !bytes.Equal(got, want) {
				t.Fatalf("got %d bytes, want the sum and %d bytes", len(got), len(want)-32)
			}
		})
	}
}

func TestDialToAClosedPortTellsWhy(t *testing.T) {
	l, do := runLoop(t)
	x, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := netip.MustParseAddrPort(x.Addr().String())
	x.Close()
	got := make(chan string, 1)
	do(func() {
		var c *Connection
		c, err = Dial(l, IPAddress(addr), Address{}, nil, watch{event: func(e ConnectionEvent) {
			if e != RemoteClose {
				t.Errorf("event %d", e)
			}
			got <- c.FailureReason()
		}}, Options{})
	})
	if err != nil {
		t.Fatal(err)
	}
	select {
	case s := <-got:
		if s != "delayed connect error: Connection refused" {
			t.Fatalf("failure reason %q", s)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("no event")
	}
}

// TestCloseFlushWritesEverything closes right after writing more than the
// socket takes.
func TestCloseFlushWritesEverything(t *testing.T) {
	l, do := runLoop(t)
	const size = 8 << 20
	addr := listen(t, l, do, Options{}, func(c *Connection) {
		b := l.NewBuffer()
		b.AppendStatic(make([]byte, size))
		c.Write(b, false)
		c.Close(FlushWriteAndDelay)
	})
	c, err := net.Dial("tcp", addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	got, err := io.ReadAll(c)
	if err != nil || len(got) != size {
		t.Fatalf("read %d of %d bytes: %v", len(got), size, err)
	}
}
