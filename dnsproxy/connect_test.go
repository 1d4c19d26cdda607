package dnsproxy

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"
)

// A socket that is used again has another port each time, and nothing of what
// came to the last one.
func TestConnectUDP(t *testing.T) {
	server, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	back := 0
	ports := map[int]bool{}
	for range 8 {
		conn, err := ConnectUDP(fd, server.LocalAddr().(*net.UDPAddr).AddrPort(), func() { back++ })
		if err != nil {
			t.Fatal(err)
		}
		ports[conn.LocalAddr().(*net.UDPAddr).Port] = true
		if _, err := server.WriteTo([]byte("early"), conn.LocalAddr()); err != nil {
			t.Fatal(err)
		}
		conn.SetReadDeadline(time.Now().Add(5 * time.Second))
		buf := make([]byte, 10)
		if n, err := conn.Read(buf); err != nil || string(buf[:n]) != "early" {
			t.Fatalf("%q, %v", buf[:n], err)
		}
		server.WriteTo([]byte("late"), conn.LocalAddr()) // nobody reads it
		conn.Close()
	}
	if len(ports) < 2 || back != 8 {
		t.Errorf("ports %v, given back %d times", ports, back)
	}
	if n, _, err := unix.Recvfrom(fd, make([]byte, 10), unix.MSG_DONTWAIT); err != unix.EAGAIN {
		t.Errorf("%d bytes are left, %v", n, err)
	}
}

// The end waits for questions under way.
func TestCloseAnswers(t *testing.T) {
	r := newRig(t)
	asked, release := make(chan bool), make(chan bool)
	r.handle(func(server netip.Addr, q *dns.Msg, network string) *dns.Msg {
		asked <- true
		<-release
		return answerWith("a.example. 60 IN A 198.51.100.7")(server, q, network)
	})
	answered := make(chan string)
	go func() { answered <- text(r.ask(1, query("a.example", dns.TypeA))) }()
	<-asked
	closed := make(chan bool)
	go func() { r.Close(); close(closed) }()
	eventually(t, "no pod is left", func() bool { return r.pod(podID) == nil })
	close(release)
	if got := <-answered; got != "NOERROR 198.51.100.7" {
		t.Error(got)
	}
	<-closed
}
