package handoff

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// agent is a Source that makes sockets where it is, and counts.
type agent struct {
	t      *testing.T
	beat   *os.File
	server *Server
	stop   context.CancelFunc
	done   chan struct{}

	mu      sync.Mutex
	adopted map[uint32][]uint64 // socket cookies by pod
	ready   chan struct{}
	refuse  error
}

func startAgent(t *testing.T, path string, uids ...uint32) *agent {
	t.Helper()
	if uids == nil {
		uids = []uint32{uint32(os.Getuid())}
	}
	beat, err := os.CreateTemp(t.TempDir(), "beat")
	if err != nil {
		t.Fatal(err)
	}
	if err := beat.Truncate(int64(os.Getpagesize())); err != nil {
		t.Fatal(err)
	}
	a := &agent{t: t, beat: beat, adopted: map[uint32][]uint64{}, ready: make(chan struct{}, 10), done: make(chan struct{})}
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	a.server, err = Listen(ServerOptions{Path: path, UIDs: uids, HeartbeatFD: int(beat.Fd()), Log: log}, a)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	a.stop = func() { cancel(); <-a.done }
	go func() {
		defer close(a.done)
		if err := a.server.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	t.Cleanup(a.stop)
	return a
}

func (a *agent) Adopt(podID uint32, l Listener) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.adopted[podID] = append(a.adopted[podID], socketCookie(l.FD))
	unix.Close(l.FD)
}

func (a *agent) Ready() { a.ready <- struct{}{} }

func (a *agent) UpstreamSockets(_ uint32, f Family, p Protocol, n int) ([]int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.refuse != nil {
		return nil, a.refuse
	}
	fds := make([]int, n)
	for i := range fds {
		domain := map[Family]int{IPv4: unix.AF_INET, IPv6: unix.AF_INET6}[f]
		kind := map[Protocol]int{TCP: unix.SOCK_STREAM, TransparentTCP: unix.SOCK_STREAM, UDP: unix.SOCK_DGRAM}[p]
		fd, err := unix.Socket(domain, kind|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return nil, err
		}
		fds[i] = fd
	}
	return fds, nil
}

// pod makes a pod with one listener, which stays open as long as the test.
func pod(t *testing.T, id uint32) Pod {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close(); f.Close() })
	return Pod{
		ID: id, Name: fmt.Sprintf("pod-%d", id), Namespace: "default",
		Addresses: []netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("fd00::1")},
		Listeners: []Listener{{Outbound, IPv4, Transparent, int(f.Fd())}},
	}
}

// events records what a client reports, as "+1" and "-1".
type events struct {
	seen chan string
	fds  sync.Map // pod ID to its listener's descriptor
	pods sync.Map // pod ID to Pod

	yields atomic.Bool
}

func (e *events) PodAdded(p Pod) {
	for _, l := range p.Listeners {
		e.fds.Store(p.ID, l.FD)
	}
	e.pods.Store(p.ID, p)
	e.seen <- fmt.Sprintf("+%d", p.ID)
}
func (e *events) PodChanged(p Pod) {
	e.seen <- fmt.Sprintf("~%d %s %v", p.ID, p.ServiceAccount, p.Labels)
}
func (e *events) DNSServersMoved(id, slot uint32, servers int) {
	unix.Close(servers)
	e.seen <- fmt.Sprintf("dns %d at %d", id, slot)
}
func (e *events) PeersChanged(peers []Peer, gone []string) {
	for _, p := range peers {
		e.seen <- fmt.Sprintf("peer %s %v %s %v", p.Key(), p.Addresses, p.ServiceAccount, p.Labels)
	}
	for _, key := range gone {
		e.seen <- "no peer " + key
	}
}
func (e *events) Yield(on bool)        { e.yields.Store(on) }
func (e *events) PodRemoved(id uint32) { e.seen <- fmt.Sprintf("-%d", id) }

func (e *events) want(t *testing.T, want ...string) {
	t.Helper()
	for _, w := range want {
		select {
		case got := <-e.seen:
			if got != w {
				t.Fatalf("event %s, want %s", got, w)
			}
		case <-time.After(5 * time.Second):
			t.Fatalf("no event, want %s", w)
		}
	}
}

func (e *events) wantNone(t *testing.T) {
	t.Helper()
	if len(e.seen) > 0 {
		t.Fatalf("event %s, want none", <-e.seen)
	}
}

func startClient(t *testing.T, path string) (*Client, *events) {
	t.Helper()
	c, err := Dial(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	e := &events{seen: make(chan string, 1000)}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := c.Run(ctx, e); err != nil {
			t.Error(err)
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-done
		c.Close()
		e.fds.Range(func(_, fd any) bool { unix.Close(fd.(int)); return true })
	})
	return c, e
}

func TestPodsAndUpstreamSockets(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	a := startAgent(t, path)
	one := pod(t, 1)
	a.server.Add(one)
	c, e := startClient(t, path)
	e.want(t, "+1")
	fd, _ := e.fds.Load(uint32(1))
	if got, want := socketCookie(fd.(int)), socketCookie(one.Listeners[0].FD); got != want {
		t.Errorf("the listener's cookie is %d, want %d", got, want)
	}
	a.server.Add(pod(t, 2))
	e.want(t, "+2")

	for _, n := range []int{1, 40, 200} {
		fds, err := c.UpstreamSockets(2, IPv6, n)
		if err != nil {
			t.Fatal(err)
		}
		if len(fds) != n {
			t.Errorf("%d sockets, want %d", len(fds), n)
		}
		for _, fd := range fds {
			if domain, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN); err != nil || domain != unix.AF_INET6 {
				t.Fatalf("SO_DOMAIN %d, %v", domain, err)
			}
			unix.Close(fd)
		}
	}
	a.server.Remove(2)
	e.want(t, "-2")
	if _, err := c.UpstreamSockets(2, IPv6, 1); !errors.Is(err, ErrUnknownPod) {
		t.Errorf("sockets of a pod that is gone: %v", err)
	}
	a.mu.Lock()
	a.refuse = errors.New("out of sockets")
	a.mu.Unlock()
	if _, err := c.UpstreamSockets(1, IPv4, 100); err == nil || !strings.Contains(err.Error(), "out of sockets") {
		t.Errorf("refused: %v", err)
	}
	a.mu.Lock()
	a.refuse = nil
	a.mu.Unlock()
	fds, err := c.UpstreamSockets(1, IPv4, 100)
	if err != nil {
		t.Errorf("after a refusal: %v", err)
	}
	closeAll(fds)
}

func TestTakeUpstreamNeverWaits(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	a := startAgent(t, path)
	a.server.Add(pod(t, 1))
	c, e := startClient(t, path)
	e.want(t, "+1")
	if _, ok := c.TakeUpstream(9, IPv4, TCP); ok {
		t.Error("a socket of a pod that is not there")
	}
	for taken, deadline := 0, time.Now().Add(5*time.Second); taken < 100; {
		fd, ok := c.TakeUpstream(1, IPv4, TCP)
		if ok {
			unix.Close(fd)
			taken++
		} else if time.Now().After(deadline) {
			t.Fatalf("only %d sockets came", taken)
		} else {
			time.Sleep(time.Millisecond)
		}
	}
}

func TestManyPods(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	a := startAgent(t, path)
	p := pod(t, 1)
	const n = 600 // more than the sockets' buffers hold messages for
	for i := range uint32(n) {
		p.ID = i + 1
		a.server.Add(p)
	}
	c, e := startClient(t, path)
	for range n {
		select {
		case <-e.seen:
		case <-time.After(5 * time.Second):
			t.Fatal("not all pods came")
		}
	}
	for id := range uint32(n) {
		fds, err := c.UpstreamSockets(id+1, IPv4, 1)
		if err != nil {
			t.Fatal(err)
		}
		closeAll(fds)
	}
	if proxies := a.server.Proxies(); len(proxies) != 1 || proxies[0] != os.Getpid() {
		t.Errorf("proxies %v", proxies)
	}
}

func TestAgentRestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	first := startAgent(t, path)
	same, changed, gone := pod(t, 1), pod(t, 2), pod(t, 3)
	for _, p := range []Pod{same, changed, gone} {
		first.server.Add(p)
	}
	c, e := startClient(t, path)
	<-e.seen
	<-e.seen
	<-e.seen
	first.stop()

	second := startAgent(t, path)
	second.server.Add(same)
	second.server.Add(pod(t, 2))
	select {
	case <-second.ready:
	case <-time.After(5 * time.Second):
		t.Fatal("the client does not come back")
	}
	second.mu.Lock()
	for _, p := range []Pod{same, changed, gone} {
		want := socketCookie(p.Listeners[0].FD)
		if got := second.adopted[p.ID]; len(got) != 1 || got[0] != want {
			t.Errorf("pod %d: returned listeners %v, want %d", p.ID, got, want)
		}
	}
	second.mu.Unlock()
	e.want(t, "-2", "+2", "-3") // and nothing about 1
	fds, err := c.UpstreamSockets(1, IPv4, 64)
	if err != nil {
		t.Fatal(err)
	}
	closeAll(fds)
	e.wantNone(t)
}

func TestHeartbeat(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	a := startAgent(t, path)
	c, _ := startClient(t, path)
	c.Heartbeat()
	var word [8]byte
	if _, err := a.beat.ReadAt(word[:], 0); err != nil || word == [8]byte{} {
		t.Errorf("heartbeat %v, %v", word, err)
	}
}

func TestOtherUsersAreRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	a := startAgent(t, path, uint32(os.Getuid())+1)
	if _, err := Dial(path, nil); err == nil {
		t.Error("a user that was not named was let in")
	}
	if p := a.server.Proxies(); len(p) != 0 {
		t.Errorf("proxies %v", p)
	}
}

// What a hostile proxy may send; each ends its connection and no other.
func TestBadMessages(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	a := startAgent(t, path)
	a.server.Add(pod(t, 1))
	_, e := startClient(t, path)
	e.want(t, "+1")
	hello := `{"type":"hello","version":1}`
	file, err := os.Create(filepath.Join(t.TempDir(), "unasked"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for name, packets := range map[string][]string{
		"not JSON":              {"hello"},
		"another JSON":          {`[{"type":"hello","version":1}]`},
		"cut off":               {`{"type":"hello","vers`},
		"a number too large":    {hello, `{"type":"want_upstream","id":99999999999999999999,"family":4,"count":1}`},
		"a negative count":      {hello, `{"type":"want_upstream","id":1,"family":4,"count":-1}`},
		"no pod":                {hello, `{"type":"want_upstream","family":4,"count":1}`},
		"deep":                  {hello, strings.Repeat("[", maxMessage)},
		"no hello":              {`{"type":"ready"}`},
		"no version":            {`{"type":"hello"}`},
		"ready twice":           {hello, `{"type":"ready"}`, `{"type":"ready"}`},
		"an agent's message":    {hello, `{"type":"pod_removed","id":1}`},
		"held without a socket": {hello, `{"type":"held","id":1,"listener":{"direction":"inbound","family":4,"original_dst":"sockopt"}}`},
		"too many sockets":      {hello, `{"type":"want_upstream","id":1,"family":4,"count":100000}`},
		"no such family":        {hello, `{"type":"want_upstream","id":1,"family":5,"count":1}`},
		"too long":              {hello, `{"type":"ready","error":"` + strings.Repeat("x", maxMessage) + `"}`},
	} {
		t.Run(name, func(t *testing.T) {
			u, err := net.DialUnix(network, nil, &net.UnixAddr{Name: path, Net: network})
			if err != nil {
				t.Fatal(err)
			}
			defer u.Close()
			fds := unix.UnixRights(int(file.Fd()), int(file.Fd())) // that nobody asked for
			for _, p := range packets {
				if _, _, err := u.WriteMsgUnix([]byte(p), fds, nil); err != nil {
					break // ended already
				}
				fds = nil
			}
			u.SetReadDeadline(time.Now().Add(5 * time.Second))
			for {
				n, err := u.Read(make([]byte, maxMessage))
				if errors.Is(err, os.ErrDeadlineExceeded) {
					t.Fatal("the connection stays")
				}
				if n == 0 || err != nil {
					return
				}
			}
		})
	}
	e.wantNone(t)
	if p := a.server.Proxies(); len(p) != 1 {
		t.Errorf("proxies %v, want the good one", p)
	}
	for deadline := time.Now().Add(5 * time.Second); descriptorsOf(t, file) > 1; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("descriptors that came with the messages stay open")
		}
	}
}

// descriptorsOf counts this process's of a file.
func descriptorsOf(t *testing.T, file *os.File) (n int) {
	t.Helper()
	fds, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		if path, err := os.Readlink(fd); err == nil && path == file.Name() {
			n++
		}
	}
	return n
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		`{"type":"hello","version":1}`,
		`{"type":"held","id":1,"listener":{"direction":"inbound","family":4,"original_dst":"sockopt"}}`,
		`{"type":"want_upstream","id":1,"family":6,"count":3}`,
		`{"type":"pod_added","pod":{"id":7,"name":"a","addresses":["10.0.0.1","fd00::1"],"listeners":[{"direction":"outbound","family":4,"original_dst":"transparent"}]}}`,
		`{"type":"synced"}`, `{}`, `[]`, `null`,
	} {
		f.Add([]byte(seed), 1)
	}
	f.Fuzz(func(t *testing.T, packet []byte, fds int) {
		m, err := parse(packet, fds)
		if err != nil {
			return
		}
		if m.Type == typePodAdded && fds != len(m.Pod.Listeners) {
			t.Errorf("%d descriptors for %d listeners", fds, len(m.Pod.Listeners))
		}
		if m.Type == typeWantUpstream && (m.Count < 1 || m.Count > maxFDs) {
			t.Errorf("count %d", m.Count)
		}
	})
}
