//go:build e2e

package e2e

import (
	_ "embed"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/miekg/dns"

	"github.com/weirproxy/weir/agent/pods"
)

//go:embed testdata/dns.yaml
var dnsBootstrap string

// dnsNode is a node whose server is a DNS server, too, and whose client asks
// it: by IPv4 first, then by IPv6.
type dnsNode struct {
	*node
	resolvConf string
	asked      atomic.Uint64 // questions that the server got
}

func newDNSNode(t *testing.T) *dnsNode {
	t.Helper()
	if _, err := exec.LookPath("dig"); err != nil && os.Getenv("CI") != "true" {
		t.Skip("needs dig")
	}
	n := &dnsNode{node: newNode(t)}
	n.serveDNS()
	n.resolvConf = filepath.Join(t.TempDir(), "resolv.conf")
	text := fmt.Sprintf("nameserver %s\nnameserver %s\n", n.server.IPv4, n.server.IPv6)
	if err := os.WriteFile(n.resolvConf, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return n
}

// startProxy starts a proxy for hosts of the mesh.
func (n *dnsNode) startProxy() {
	n.t.Helper()
	bootstrap := strings.NewReplacer("{{.AccessLog}}", n.accessLog(), "{{.Server}}", n.server.IPv4.String()).Replace(dnsBootstrap)
	if err := n.StartProxy(n.t.Context(), bootstrap, "--concurrency", "2"); err != nil {
		n.t.Fatal(err)
	}
}

// serveDNS knows server.example, the pod's own addresses, and big.example,
// whose text is too long for UDP.
func (n *dnsNode) serveDNS() {
	handler := dns.HandlerFunc(func(w dns.ResponseWriter, query *dns.Msg) {
		n.asked.Add(1)
		w.WriteMsg(n.reply(query, w.RemoteAddr().Network() == "udp"))
	})
	err := n.server.Do(func() error {
		udp, err := net.ListenPacket("udp", ":53")
		if err != nil {
			return err
		}
		tcp, err := net.Listen("tcp", ":53")
		if err != nil {
			return err
		}
		for _, server := range []*dns.Server{{PacketConn: udp, Handler: handler}, {Listener: tcp, Handler: handler}} {
			go server.ActivateAndServe()
			n.t.Cleanup(func() { server.Shutdown() })
		}
		return nil
	})
	if err != nil {
		n.t.Fatal(err)
	}
}

func (n *dnsNode) reply(query *dns.Msg, byUDP bool) *dns.Msg {
	r := new(dns.Msg).SetReply(query)
	q := query.Question[0]
	header := dns.RR_Header{Name: q.Name, Rrtype: q.Qtype, Class: q.Qclass, Ttl: 60}
	switch name := strings.ToLower(q.Name); {
	case name == "big.example." && q.Qtype == dns.TypeTXT:
		for i := range 20 {
			r.Answer = append(r.Answer, &dns.TXT{Hdr: header, Txt: []string{strings.Repeat("x", 200), fmt.Sprint(i)}})
		}
		if byUDP {
			r.Truncate(dns.MinMsgSize)
		}
	case name != "server.example.":
		r.Rcode = dns.RcodeNameError
	case q.Qtype == dns.TypeA:
		r.Answer = append(r.Answer, &dns.A{Hdr: header, A: n.server.IPv4.AsSlice()})
	case q.Qtype == dns.TypeAAAA:
		r.Answer = append(r.Answer, &dns.AAAA{Hdr: header, AAAA: n.server.IPv6.AsSlice()})
	}
	return r
}

// run runs a shell command in the client, whose resolv.conf is the node's.
func (n *dnsNode) run(command string) string {
	n.t.Helper()
	out, err := n.client.Output(n.t.Context(), "unshare", "-m", "sh", "-c", "mount --bind "+n.resolvConf+" /etc/resolv.conf && "+command)
	if err != nil {
		out += err.Error()
	}
	return strings.TrimSpace(out)
}

func (n *dnsNode) want(command, want string) {
	n.t.Helper()
	if got := n.run(command); got != want {
		n.t.Errorf("%s: %q, want %q", command, got, want)
	}
}

func withDNS(s *pods.Spec) { yes := true; s.DNS = &yes }

// A pod's DNS goes by the proxy: names of the world, hosts of the mesh, and
// which name a connection's destination has.
func TestDNS(t *testing.T) {
	modes(t, func(t *testing.T, mode func(*pods.Spec)) {
		n := newDNSNode(t)
		n.startAgent()
		n.startProxy()
		n.manage(n.client, func(s *pods.Spec) { mode(s); withDNS(s) })
		s4, s6 := n.server.IPv4.String(), n.server.IPv6.String()
		n.want("dig +short server.example", s4)
		n.want("dig +short +tcp server.example", s4)
		n.want("dig +short AAAA server.example @"+s6, s6)
		n.want("dig nowhere.example | grep -o NXDOMAIN", "NXDOMAIN")
		n.want("dig +noedns TXT big.example | grep -c xxx", "20") // dig asks again by TCP
		n.want("getent ahostsv4 server.example | cut -d' ' -f1 | sort -u", s4)

		asked := n.asked.Load()
		n.want("getent ahostsv4 server.example | cut -d' ' -f1 | sort -u", s4)
		if again := n.asked.Load(); again != asked {
			t.Errorf("the server was asked %d times for what it had said already", again-asked)
		}

		hello := "hello " + n.client.IPv4.String()
		n.want("curl -sS -4 http://server.example:81/", hello)
		n.want("curl -sS -4 http://server.example/", hello)
		n.want("curl -sS http://shop.mesh/", hello)
		n.want("curl -sS http://north.stores.mesh/", hello)
		n.want("curl -sS http://"+s4+":81/", hello) // the name is of the address
		n.wantLogged("server.example 81", "server.example 81", "server.example 80", "shop.mesh 80", "north.stores.mesh 80")
		n.want("dig +short shop.mesh | cut -d. -f1,2", "240.240")
		n.want("dig +short AAAA shop.mesh | cut -d: -f1-4", "fd77:6569:7200:240")
		if got := n.run("curl -sS -m 5 http://shop.mesh:81/"); !strings.HasPrefix(got, "curl: ") || n.stat("cluster.original_dst.upstream_cx_connect_timeout") != "0" {
			t.Errorf("a host of the mesh that no route is for: %s", got)
		}
		n.want("curl -sS http://given.mesh:81/", hello)
		n.want("curl -sS http://web.mesh:81/", hello)
		n.wantLogged("given.mesh 81", "web.mesh 81")
		n.want("curl -sS http://db.mesh:5432/", hello) // TCP by name

		c, err := n.client.Dial(t.Context(), "tcp", n.run("dig +short shop.mesh")+":80")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		n.eventually("the agent knows the connection's name", func() bool {
			open, err := n.Client().Connections(t.Context())
			return err == nil && len(open) == 1 && open[0].Name == "shop.mesh"
		})
		if c := n.counters(); c["dns"] == 0 || c["dns_left_alone"] != 0 || c["failed"] != 0 {
			t.Errorf("counters %v", c)
		}
		for _, name := range []string{"answered_stand_in", "forwarded_again_by_tcp", "answered_cached", "forwarded"} {
			n.eventually("dns."+name+" is counted", func() bool { return n.stat("dns."+name) != "0" })
		}
	})
}

// Neither the agent's end nor a new proxy loses a question, and a silent proxy
// is what the pod's policy says.
func TestDNSSurvives(t *testing.T) {
	n := newDNSNode(t)
	n.startAgent()
	n.startProxy()
	n.manage(n.client, withDNS)
	s4 := n.server.IPv4.String()
	dig := "dig +short +tries=1 +timeout=60 server.example"
	n.want(dig, s4)
	n.Agent.Kill()
	for i := range 20 {
		n.want(fmt.Sprintf("dig +short +tries=1 TXT name%d.example; dig +short +tries=1 server.example", i), s4)
	}
	n.startAgent()
	n.want(dig, s4)
	n.eventually("the proxy has returned the sockets to the new agent", func() bool {
		s, err := n.Client().Status(t.Context())
		return err == nil && len(s.Proxies) == 1 && s.Pods[0].State == "caught"
	})

	old := n.Proxy
	n.startProxy()
	if err := old.Stop(); err != nil {
		t.Error(err)
	}
	n.want(dig, s4)

	n.Proxy.Kill()
	answer := make(chan string)
	go func() { answer <- n.run(dig) }() // it waits in the socket
	n.startProxy()
	if got := <-answer; got != s4 {
		t.Errorf("asked while there was no proxy: %q", got)
	}
	asked := n.asked.Load()
	if err := n.Client().RemovePod(t.Context(), "default", "client"); err != nil {
		t.Fatal(err)
	}
	before := n.counters()["dns"]
	n.want(dig, s4)
	if c := n.counters()["dns"]; c != before || n.asked.Load() == asked {
		t.Errorf("caught after the pod was let go")
	}
}
