package network

import (
	"bytes"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// udpPair is a bound socket at ip and a client that is connected to it.
func udpPair(t *testing.T, bind, to string, maxSize int, gro bool) (server, client UDPSocket, port uint16) {
	t.Helper()
	addr := IPAddress(netip.AddrPortFrom(netip.MustParseAddr(bind), 0))
	fd, err := BindUDP(addr, ListenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	local, err := LocalName(fd)
	if err != nil {
		t.Fatal(err)
	}
	server = NewUDPSocket(fd, addr, maxSize, gro)
	t.Cleanup(server.Close)
	dest := IPAddress(netip.AddrPortFrom(netip.MustParseAddr(to), local.Port()))
	if client, err = OpenUDP(dest, 1500, false, nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	if err := client.Connect(dest); err != nil {
		t.Fatal(err)
	}
	return server, client, local.Port()
}

// receive collects n datagrams, those that were dropped included.
func receive(t *testing.T, d *Datagrams, s *UDPSocket, n int) (got []Datagram, dropped int) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); len(got)+dropped < n; {
		if left := time.Until(deadline); left <= 0 {
			t.Fatalf("%d datagrams and %d dropped, want %d", len(got), dropped, n)
		}
		unix.Poll([]unix.PollFd{{Fd: int32(s.FD), Events: unix.POLLIN}}, 100)
		in, k, _, errno := d.Receive(s)
		if errno != 0 {
			t.Fatal(errno)
		}
		for _, x := range in {
			x.Data = bytes.Clone(x.Data)
			got = append(got, x)
		}
		dropped += k
	}
	return got, dropped
}

func TestDatagramsKeepTheirBounds(t *testing.T) {
	for _, gro := range []bool{false, true} {
		for _, ip := range []string{"127.0.0.1", "::1"} {
			t.Run(fmt.Sprintf("%s gro=%v", ip, gro), func(t *testing.T) {
				server, client, port := udpPair(t, ip, ip, 1500, gro)
				var d Datagrams
				var sent [][]byte
				for i := range 3 * batch {
					sent = append(sent, bytes.Repeat([]byte{byte(i)}, i*15)) // the first one is empty
				}
				if n, _, errno := d.Send(&client, sent, netip.AddrPort{}, netip.Addr{}); n != len(sent) {
					t.Fatal(n, errno)
				}
				got, dropped := receive(t, &d, &server, len(sent))
				if dropped > 0 {
					t.Fatalf("%d dropped", dropped)
				}
				for i, x := range got {
					if !bytes.Equal(x.Data, sent[i]) || x.Local != netip.MustParseAddr(ip) {
						t.Fatalf("datagram %d: %d bytes at %v, want %d", i, len(x.Data), x.Local, len(sent[i]))
					}
				}
				// And back to where they came from.
				if n, size, errno := d.Send(&server, [][]byte{[]byte("answer")}, got[0].Peer, got[0].Local); n != 1 || size != 6 {
					t.Fatal(errno)
				}
				back, _ := receive(t, &d, &client, 1)
				if string(back[0].Data) != "answer" || back[0].Peer.Port() != port {
					t.Fatalf("got %q of %v", back[0].Data, back[0].Peer)
				}
			})
		}
	}
}

// TestJoinedDatagramsAreTakenApart sends them as one with UDP_SEGMENT, as
// which the receiver's kernel keeps them.
func TestJoinedDatagramsAreTakenApart(t *testing.T) {
	server, client, _ := udpPair(t, "127.0.0.1", "127.0.0.1", 1500, true)
	if err := unix.SetsockoptInt(client.FD, unix.IPPROTO_UDP, unix.UDP_SEGMENT, 1000); err != nil {
		t.Skip(err)
	}
	var d Datagrams
	all := bytes.Repeat([]byte("0123456789"), 1025)
	if n, _, errno := d.Send(&client, [][]byte{all}, netip.AddrPort{}, netip.Addr{}); n != 1 {
		t.Fatal(errno)
	}
	got, _ := receive(t, &d, &server, 11)
	for i, x := range got {
		if want := min(1000, len(all)-1000*i); len(x.Data) != want {
			t.Errorf("datagram %d has %d bytes, want %d", i, len(x.Data), want)
		}
	}
}

func TestLongDatagramsAreDropped(t *testing.T) {
	for _, gro := range []bool{false, true} {
		server, client, _ := udpPair(t, "127.0.0.1", "127.0.0.1", 100, gro)
		most := 100
		if gro {
			most = 1600
		}
		var d Datagrams
		d.Send(&client, [][]byte{make([]byte, most), make([]byte, most+1), make([]byte, most-1)}, netip.AddrPort{}, netip.Addr{})
		got, dropped := receive(t, &d, &server, 3)
		if len(got) != 2 || len(got[0].Data) != most || len(got[1].Data) != most-1 || dropped != 1 {
			t.Errorf("gro=%v: %d datagrams, %d dropped", gro, len(got), dropped)
		}
	}
}

// TestAnswersComeFromWhereTheQuestionWent binds to all addresses.
func TestAnswersComeFromWhereTheQuestionWent(t *testing.T) {
	for _, bind := range []string{"0.0.0.0", "::"} {
		server, client, port := udpPair(t, bind, "127.0.0.5", 100, false)
		var d Datagrams
		d.Send(&client, [][]byte{[]byte("?")}, netip.AddrPort{}, netip.Addr{})
		got, _ := receive(t, &d, &server, 1)
		if got[0].Local != netip.MustParseAddr("127.0.0.5") {
			t.Fatalf("it came to %v", got[0].Local)
		}
		// The client is connected: it takes answers from there only.
		if n, _, errno := d.Send(&server, [][]byte{[]byte("!")}, got[0].Peer, got[0].Local); n != 1 {
			t.Fatal(errno)
		}
		if back, _ := receive(t, &d, &client, 1); back[0].Peer != netip.AddrPortFrom(netip.MustParseAddr("127.0.0.5"), port) {
			t.Fatalf("answered by %v", back[0].Peer)
		}
	}
}

func TestSendGoesOnBehindAFailure(t *testing.T) {
	server, client, _ := udpPair(t, "127.0.0.1", "127.0.0.1", 1500, false)
	var d Datagrams
	n, size, errno := d.Send(&client, [][]byte{[]byte("a"), make([]byte, 70_000), []byte("b")}, netip.AddrPort{}, netip.Addr{})
	if n != 2 || size != 2 || errno != unix.EMSGSIZE {
		t.Fatal(n, size, errno)
	}
	if got, _ := receive(t, &d, &server, 2); string(got[1].Data) != "b" {
		t.Fatalf("got %q", got[1].Data)
	}
}
