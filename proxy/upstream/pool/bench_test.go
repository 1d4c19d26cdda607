package pool

import (
	"net"
	"testing"

	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/upstream/cluster"
)

// chain sends one request after the other, each as the response before it
// ends.
type chain struct {
	stream
	p    *HTTP1
	left int
	f    func()
}

func (c *chain) OnPoolReady(enc http.RequestEncoder, _ *cluster.Host, _ *network.Connection, _ http.ProtocolVersion) {
	enc.SetCallbacks(c)
	c.res.Reset()
	enc.EncodeHeaders(&c.req, true)
}

func (c *chain) DecodeHeaders(end bool) {
	if end {
		c.next()
	}
}

func (c *chain) DecodeData(_ *network.Buffer, end bool) {
	if end {
		c.next()
	}
}

func (c *chain) next() {
	if c.left--; c.left < 0 {
		close(c.done)
		return
	}
	// The stream is over when its codec has returned.
	c.r.loop.Post(c.f)
}

func (c *chain) again() { c.p.NewStream(c, c) }

// BenchmarkRequest is a request on an idle connection, with the codec and the
// system calls.
func BenchmarkRequest(b *testing.B) {
	r := newRig(b, nil)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		buf, response := make([]byte, 4096), []byte(okResponse)
		for {
			if _, err := c.Read(buf); err != nil {
				return
			}
			c.Write(response)
		}
	}()
	c := &chain{stream: stream{r: r, done: make(chan struct{})}, p: NewHTTP1(&r.o, r.host(l.Addr()), cluster.Default, 0)}
	c.req.Add(http.Method, "GET")
	c.req.Add(http.Path, "/")
	c.req.Add(http.Authority, "a.test")
	b.ReportAllocs()
	b.ResetTimer()
	c.left, c.f = b.N, c.again
	r.do(c.next)
	<-c.done
}
