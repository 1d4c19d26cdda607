package dnsproxy

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"
)

// rig is a Server with one pod, whose servers are this test's. The pod asks by
// sockets of the test's own, at the aliases, as the programs have it.
type rig struct {
	*Server
	t     *testing.T
	port  uint16
	asked atomic.Int64 // questions that servers got

	mu      sync.Mutex
	handler handler
}

// handler is what the servers do; an answer that is nil is silence.
type handler func(server netip.Addr, query *dns.Msg, network string) *dns.Msg

func (r *rig) handle(h handler) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.handler = h
}

const podID = 7

var one, two = netip.MustParseAddr("192.0.2.53"), netip.MustParseAddr("192.0.2.54")

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{t: t}
	r.Server = New(Options{Dial: r.dial, Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	t.Cleanup(r.Close)
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_PKTINFO, 1); err != nil {
		t.Fatal(err)
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{}); err != nil {
		t.Fatal(err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	r.port = uint16(name.(*unix.SockaddrInet4).Port)
	if err := r.Add(Pod{ID: podID, Name: "test", Servers: table(t, one, two)}, []int{fd}); err != nil {
		t.Fatal(err)
	}
	return r
}

// table is what the programs would have written.
func table(t *testing.T, servers ...netip.Addr) *Servers {
	t.Helper()
	f, err := os.CreateTemp(t.TempDir(), "servers")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(int64(os.Getpagesize())); err != nil {
		t.Fatal(err)
	}
	const slot = 3
	for i, a := range servers {
		b := a.As16()
		if _, err := f.WriteAt(b[:], int64(slot*podSize+i*addrSize)); err != nil {
			t.Fatal(err)
		}
	}
	s, err := OpenServers(int(f.Fd()), slot)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// dial connects to a server that is one end of a pipe.
func (r *rig) dial(_ context.Context, pod uint32, network string, to netip.AddrPort) (net.Conn, error) {
	if pod != podID || to.Port() != 53 {
		return nil, errors.New("not this pod, not this port")
	}
	ours, theirs := net.Pipe()
	go func() {
		defer theirs.Close()
		buf := make([]byte, maxMessage)
		read := func() ([]byte, error) { n, err := theirs.Read(buf); return buf[:max(n, 0)], err }
		write := func(b []byte) error { _, err := theirs.Write(b); return err }
		if network == "tcp" {
			read = func() ([]byte, error) { return readMessage(theirs) }
			write = func(b []byte) error { return writeMessage(theirs, b) }
		}
		raw, err := read()
		if err != nil {
			return
		}
		r.asked.Add(1)
		query := new(dns.Msg)
		query.Unpack(raw)
		r.mu.Lock()
		handle := r.handler
		r.mu.Unlock()
		if answer := handle(to.Addr(), query, network); answer != nil {
			write(must(answer.Pack()))
		}
		theirs.Read(buf) // until the proxy has had enough
	}()
	return ours, nil
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// query is a question as a stub resolver asks it.
func query(name string, kind uint16) *dns.Msg {
	return new(dns.Msg).SetQuestion(dns.Fqdn(name), kind)
}

// ask asks the pod's Nth server by UDP. The answer must come from its alias.
func (r *rig) ask(n byte, q *dns.Msg) *dns.Msg {
	r.t.Helper()
	alias := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 53, 0, n}), r.port)
	conn, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(alias))
	if err != nil {
		r.t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := conn.Write(must(q.Pack())); err != nil {
		r.t.Fatal(err)
	}
	buf := make([]byte, maxMessage)
	size, err := conn.Read(buf)
	if err != nil {
		r.t.Fatalf("%s: %v", q.Question[0].Name, err)
	}
	m := new(dns.Msg)
	if err := m.Unpack(buf[:size]); err != nil {
		r.t.Fatal(err)
	}
	return m
}

// text is an answer in a few words: NOERROR 192.0.2.1 192.0.2.2, with TC.
func text(m *dns.Msg) string {
	out := []string{dns.RcodeToString[m.Rcode]}
	for _, rr := range m.Answer {
		if a, ok := address(rr); ok {
			out = append(out, a.String())
		} else {
			out = append(out, dns.TypeToString[rr.Header().Rrtype])
		}
	}
	if m.Truncated {
		out = append(out, "TC")
	}
	return strings.Join(out, " ")
}

func (r *rig) want(n byte, q *dns.Msg, want string) {
	r.t.Helper()
	m := r.ask(n, q)
	if got := text(m); got != want || m.Id != q.Id || m.Question[0] != q.Question[0] {
		r.t.Errorf("%s: %q, want %q", q.Question[0].Name, got, want)
	}
}

// answerWith is a handler that answers with records in zone-file syntax.
func answerWith(records ...string) handler {
	return func(_ netip.Addr, q *dns.Msg, _ string) *dns.Msg {
		m := new(dns.Msg).SetReply(q)
		for _, text := range records {
			m.Answer = append(m.Answer, must(dns.NewRR(text)))
		}
		return m
	}
}
