package http1

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	nethttp "net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/network"
)

// bridge is the least proxy there can be: each downstream connection has an
// upstream connection of its own, and a request goes over as it comes.
type bridge struct {
	t        *testing.T
	down, up *network.Connection
	server   http.ServerConnection
	client   http.ClientConnection
	request  http.RequestEncoder
	response http.ResponseEncoder

	req, reqTrailers, res, resTrailers http.HeaderMap
}

// fromClient and fromServer are a bridge's decoders.
type fromClient struct{ *bridge }
type fromServer struct{ *bridge }

func (b *bridge) NewStream(enc http.ResponseEncoder) http.RequestDecoder {
	for _, h := range []*http.HeaderMap{&b.req, &b.reqTrailers, &b.res, &b.resTrailers} {
		h.Reset()
	}
	b.response = enc
	b.request = b.client.NewStream(fromServer{b})
	b.response.SetCallbacks(pressure{b.request.ReadDisable})
	b.request.SetCallbacks(pressure{b.response.ReadDisable})
	return fromClient{b}
}

func (b *bridge) OnGoAway(uint32)     {}
func (b *bridge) OnStreamEnd(ok bool) {}
func (b *bridge) OnMaxStreams(uint32) {}

// pressure stops the other side's reading while this side is full.
type pressure struct{ stop func(bool) }

func (p pressure) OnResetStream(http.ResetReason, string) {}
func (p pressure) OnAboveWriteBufferHighWatermark()       { p.stop(true) }
func (p pressure) OnBelowWriteBufferLowWatermark()        { p.stop(false) }

func (b fromClient) RequestHeaders() *http.HeaderMap  { return &b.req }
func (b fromClient) RequestTrailers() *http.HeaderMap { return &b.reqTrailers }
func (b fromClient) DecodeHeaders(end bool) {
	b.req.Remove(http.TransferEncoding)
	if err := b.request.EncodeHeaders(&b.req, end); err != nil {
		b.t.Error(err)
	}
}
func (b fromClient) DecodeData(d *network.Buffer, end bool) { b.request.EncodeData(d, end) }
func (b fromClient) DecodeTrailers(t *http.HeaderMap)       { b.request.EncodeTrailers(t) }
func (b fromClient) SendLocalReply(code int, _, d string)   { b.t.Errorf("refused: %d %s", code, d) }

func (b fromServer) ResponseHeaders() *http.HeaderMap       { return &b.res }
func (b fromServer) ResponseTrailers() *http.HeaderMap      { return &b.resTrailers }
func (b fromServer) Decode1xxHeaders()                      { b.response.Encode1xxHeaders(&b.res) }
func (b fromServer) DecodeHeaders(end bool)                 { b.response.EncodeHeaders(&b.res, end) }
func (b fromServer) DecodeData(d *network.Buffer, end bool) { b.response.EncodeData(d, end) }
func (b fromServer) DecodeTrailers(t *http.HeaderMap)       { b.response.EncodeTrailers(t) }

// side is one of a bridge's connections: its filter and its callbacks.
type side struct {
	conn, other *network.Connection
	dispatch    func(*network.Buffer) error
	above       func()
	below       func()
}

func (s *side) OnNewConnection() network.FilterStatus { return network.Continue }
func (s *side) OnData(b *network.Buffer, _ bool) network.FilterStatus {
	if err := s.dispatch(b); err != nil {
		s.conn.Close(network.FlushWrite)
	}
	return network.StopIteration
}
func (s *side) OnEvent(ev network.ConnectionEvent) {
	if ev != network.Connected {
		s.other.Close(network.FlushWrite)
	}
}
func (s *side) OnAboveWriteBufferHighWatermark() { s.above() }
func (s *side) OnBelowWriteBufferLowWatermark()  { s.below() }

// startBridge listens, and connects every connection to upstream.
func startBridge(t *testing.T, upstream string) (addr string) {
	l := newLoop(t)
	stopped := make(chan struct{})
	go func() { l.Run(); close(stopped) }()
	t.Cleanup(func() { l.Exit(); <-stopped })
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			f, _ := c.(*net.TCPConn).File()
			fd, _ := unix.Dup(int(f.Fd()))
			unix.SetNonblock(fd, true)
			f.Close()
			c.Close()
			l.Post(func() { bridgeConnection(t, l, fd, upstream) })
		}
	}()
	return listener.Addr().String()
}

func bridgeConnection(t *testing.T, l *network.Loop, fd int, upstream string) {
	set := &Settings{EnableTrailers: true}
	o := network.Options{BufferLimit: 256 << 10}
	local, remote, _ := network.SocketNames(fd)
	b := &bridge{t: t}
	down, up := &side{}, &side{}
	var err error
	if b.down, err = network.NewServerConnection(l, fd, local, remote, o); err != nil {
		t.Error(err)
		return
	}
	if b.up, err = network.Dial(l, network.IPAddress(netip.MustParseAddrPort(upstream)), network.Address{}, nil, up, o); err != nil {
		t.Error(err)
		return
	}
	b.server, b.client = NewServer(b.down, b, set), NewClient(b.up, b, set)
	*down = side{b.down, b.up, b.server.Dispatch, b.server.OnAboveWriteBufferHighWatermark, b.server.OnBelowWriteBufferLowWatermark}
	*up = side{b.up, b.down, b.client.Dispatch, b.client.OnAboveWriteBufferHighWatermark, b.client.OnBelowWriteBufferLowWatermark}
	b.down.AddCallbacks(down)
	b.up.BuildFilters([]network.FilterFactory{func(*network.ReadCallbacks) network.ReadFilter { return up }})
	b.down.BuildFilters([]network.FilterFactory{func(*network.ReadCallbacks) network.ReadFilter { return down }})
	b.down.Start()
}

// TestThroughSockets sends requests of net/http's client through both codecs
// to net/http's server: small and large, sized and chunked, with trailers.
func TestThroughSockets(t *testing.T) {
	origin := httptest.NewServer(nethttp.HandlerFunc(func(w nethttp.ResponseWriter, r *nethttp.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("the origin's request ended early: %v", err)
		}
		w.Header().Set("X-Sum", fmt.Sprintf("%x", sha256.Sum256(body)))
		w.Header().Set("X-Trailer", r.Trailer.Get("X-T"))
		if r.URL.Query().Has("sized") {
			w.Header().Set("Content-Length", fmt.Sprint(len(body)))
		} else {
			w.Header().Set("Trailer", "X-End")
		}
		w.Write(body)
		w.Header().Set("X-End", "yes")
	}))
	defer origin.Close()
	addr := startBridge(t, origin.Listener.Addr().String())
	client := &nethttp.Client{Transport: &nethttp.Transport{ExpectContinueTimeout: time.Second}, Timeout: 20 * time.Second}
	defer client.CloseIdleConnections()
	for _, size := range []int{0, 5, 20_000, 300_000, 5 << 20} {
		for _, sized := range []bool{true, false} {
			body := bytes.Repeat([]byte("weir"), (size+3)/4)[:size]
			url := "http://" + addr + "/?chunked"
			var r io.Reader = struct{ io.Reader }{bytes.NewReader(body)}
			if sized {
				url, r = "http://"+addr+"/?sized", bytes.NewReader(body)
			}
			req, _ := nethttp.NewRequest("POST", url, r)
			if !sized {
				req.Trailer = nethttp.Header{"X-T": {"there"}}
			}
			if size == 5 {
				req.Header.Set("Expect", "100-continue")
			}
			res, err := client.Do(req)
			if err != nil {
				t.Fatalf("%d bytes, sized %v: %v", size, sized, err)
			}
			got, err := io.ReadAll(res.Body)
			res.Body.Close()
			if err != nil || !bytes.Equal(got, body) {
				t.Errorf("%d bytes, sized %v: %d came back, %v", size, sized, len(got), err)
			}
			if want := fmt.Sprintf("%x", sha256.Sum256(body)); res.Header.Get("X-Sum") != want {
				t.Errorf("%d bytes, sized %v: the origin saw something else", size, sized)
			}
			if !sized && (res.Header.Get("X-Trailer") != "there" || res.Trailer.Get("X-End") != "yes") {
				t.Errorf("%d bytes: trailers %q, %q", size, res.Header.Get("X-Trailer"), res.Trailer.Get("X-End"))
			}
		}
	}
}

// TestPipelineThroughSockets sends many requests at once, over several turns.
func TestPipelineThroughSockets(t *testing.T) {
	origin := httptest.NewServer(nethttp.HandlerFunc(func(w nethttp.ResponseWriter, r *nethttp.Request) {
		io.Copy(io.Discard, r.Body)
		fmt.Fprintf(w, "[%s]", r.URL.Path)
	}))
	defer origin.Close()
	c, err := net.Dial("tcp", startBridge(t, origin.Listener.Addr().String()))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(20 * time.Second))
	var raw, want strings.Builder
	for i := range 100 {
		last := ""
		if i == 99 {
			last = "Connection: close\r\n"
		}
		fmt.Fprintf(&raw, "POST /%d HTTP/1.1\r\nHost: h\r\nContent-Length: 2000\r\n%s\r\n%2000d", i, last, i)
		fmt.Fprintf(&want, "[/%d]", i)
	}
	go io.WriteString(c, raw.String())
	all, err := io.ReadAll(c)
	if err != nil {
		t.Fatal(err)
	}
	got := ""
	for _, part := range strings.SplitAfter(string(all), "\r\n\r\n")[1:] {
		body, _, _ := strings.Cut(part, "HTTP/1.1")
		got += body
	}
	if got != want.String() {
		t.Errorf("got %s", got)
	}
}

// TestResponsesPileUp has a client that pipelines and does not read: the codec
// stops taking requests, and counts it, instead of keeping all responses.
func TestResponsesPileUp(t *testing.T) {
	l := newLoop(t)
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fds[1])
	conn, err := network.NewServerConnection(l, fds[0], network.Address{Path: "@a"}, network.Address{Path: "@b"}, network.Options{BufferLimit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(network.NoFlush)
	var floods uint64
	m := &manager{t: t}
	codec := NewServer(conn, m, &Settings{Counters: Counters{ResponseFlood: &floods}})
	in := l.NewBuffer()
	in.AppendString(strings.Repeat("GET / HTTP/1.1\r\nHost: h\r\n\r\n", 1000))
	if err := codec.Dispatch(in); err != nil {
		t.Fatal(err)
	}
	if floods != 1 || m.begun > 100 || conn.ReadEnabled() {
		t.Fatalf("%d floods counted, %d requests taken, reading %v", floods, m.begun, conn.ReadEnabled())
	}
	conn.Out().Reset()
	codec.OnBelowWriteBufferLowWatermark()
	if !conn.ReadEnabled() {
		t.Error("reading goes on once there is room")
	}
}
