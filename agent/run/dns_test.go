package run

import (
	"net"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// asker looks a name up at a server and connects to the address.
const asker = `
import socket, struct, sys
q = struct.pack(">HHHHHH", 7, 0x0100, 1, 0, 0, 0) + b"\4shop\7example\0" + struct.pack(">HH", 1, 1)
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(60)
s.sendto(q, (sys.argv[1], 53))
answer, peer = s.recvfrom(512)
address = socket.inet_ntoa(answer[-4:])
print(peer[0], socket.create_connection((address, 80), 5).recv(100).decode().strip())`

// The command's connections are told of by the names that it looked up.
func TestNames(t *testing.T) {
	p := server(t)
	handler := dns.HandlerFunc(func(w dns.ResponseWriter, query *dns.Msg) {
		r := new(dns.Msg).SetReply(query)
		header := dns.RR_Header{Name: query.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 60}
		r.Answer = append(r.Answer, &dns.A{Hdr: header, A: p.IPv4.AsSlice()})
		w.WriteMsg(r)
	})
	if err := p.Do(func() error {
		udp, err := net.ListenPacket("udp", ":53")
		if err != nil {
			return err
		}
		server := &dns.Server{PacketConn: udp, Handler: handler}
		go server.ActivateAndServe()
		t.Cleanup(func() { server.Shutdown() })
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	stdout, stderr, code := runIt(t, "python3", "-c", asker, p.IPv4.String())
	if want := p.IPv4.String() + " hello\n"; code != 0 || stdout != want {
		t.Errorf("code %d, %q; want %q", code, stdout, want)
	}
	if want := "weir: shop.example " + p.IPv4.String() + ":80  "; !strings.HasPrefix(stderr, want) {
		t.Errorf("%q, want %q", stderr, want)
	}
}
