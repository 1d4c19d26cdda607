package redirect

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"

	"github.com/weirproxy/weir/agent/netns"
	"github.com/weirproxy/weir/dnsproxy"
	"github.com/weirproxy/weir/internal/netnsrig"
)

// nameserver runs a DNS server in a pod that answers every A question with
// address, and what=who in a TXT record; any name under "none." does not exist.
func nameserver(t *testing.T, p *netnsrig.Pod, address netip.Addr) {
	t.Helper()
	handler := dns.HandlerFunc(func(w dns.ResponseWriter, query *dns.Msg) {
		r := new(dns.Msg).SetReply(query)
		q := query.Question[0]
		switch {
		case strings.HasSuffix(q.Name, ".none."):
			r.Rcode = dns.RcodeNameError
		case q.Qtype == dns.TypeA:
			r.Answer = append(r.Answer, &dns.A{Hdr: dns.RR_Header{Name: q.Name, Rrtype: q.Qtype, Class: q.Qclass, Ttl: 60}, A: address.AsSlice()})
		case q.Qtype == dns.TypeTXT: // who asks?
			r.Answer = append(r.Answer, &dns.TXT{Hdr: dns.RR_Header{Name: q.Name, Rrtype: q.Qtype, Class: q.Qclass}, Txt: []string{w.RemoteAddr().String()}})
		}
		w.WriteMsg(r)
	})
	err := p.Do(func() error {
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
			t.Cleanup(func() { server.Shutdown() })
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// withDNS has the pod's questions answered by a proxy, as the agent and
// proxy/server do.
func (m *managed) withDNS() *dnsproxy.Server {
	m.t.Helper()
	proxy := dnsproxy.New(dnsproxy.Options{Dial: m.dialDNS, Log: slog.Default()})
	m.t.Cleanup(proxy.Close)
	if err := m.ns.InstallLocalRoute(netns.LocalRoute{Prefix: DNSAliases6, Source: m.IPv6}); err != nil {
		m.t.Fatal(err)
	}
	var fds []int
	for _, is6 := range []bool{false, true} {
		fd, err := m.ns.ListenDNS(is6, 15053)
		if err != nil {
			m.t.Fatal(err)
		}
		kind := DNS4
		if is6 {
			kind = DNS6
		}
		if err := m.r.SetListener(m.pod.ID, kind, fd); err != nil {
			m.t.Fatal(err)
		}
		fds = append(fds, fd)
	}
	m.pod.DNS = DNS{Port4: 15053, Port6: 15053}
	m.put()
	slot, _, ok, err := m.r.DNSOf(m.pod.Cookie)
	if !ok || err != nil {
		m.t.Fatal(ok, err)
	}
	servers, err := dnsproxy.OpenServers(m.r.DNSServersFD(), slot)
	if err != nil {
		m.t.Fatal(err)
	}
	if err := proxy.Add(dnsproxy.Pod{ID: m.pod.ID, Servers: servers, IPv6: true, Name: m.Name}, fds); err != nil {
		m.t.Fatal(err)
	}
	return proxy
}

func (m *managed) dialDNS(_ context.Context, _ uint32, network string, server netip.AddrPort) (net.Conn, error) {
	make := m.ns.UDPSockets
	if network == "tcp" {
		make = m.ns.UpstreamSockets
	}
	fds, err := make(server.Addr().Is6(), 1)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fds[0]), "upstream")
	defer f.Close()
	if err := m.r.Bypass(fds[0]); err != nil {
		return nil, err
	}
	var sa unix.Sockaddr = &unix.SockaddrInet4{Port: int(server.Port()), Addr: [4]byte(server.Addr().AsSlice()[:4])}
	if server.Addr().Is6() {
		sa = &unix.SockaddrInet6{Port: int(server.Port()), Addr: server.Addr().As16()}
	}
	if err := unix.Connect(fds[0], sa); err != nil && !errors.Is(err, unix.EINPROGRESS) {
		return nil, err
	}
	return net.FileConn(f)
}

// asker asks by raw sockets, as a resolver does: all servers before the first
// answer is read. It prints, for each, whom the answer is from and what it is.
const asker = `
import socket, struct, sys
how, servers = sys.argv[1], sys.argv[2:]
def question(i, name):
    q = struct.pack(">HHHHHH", i, 0x0100, 1, 0, 0, 0)
    for label in name.split("."):
        q += bytes([len(label)]) + label.encode()
    return q + b"\0" + struct.pack(">HH", 1, 1)
family = socket.AF_INET6 if ":" in servers[0] else socket.AF_INET
def new():
    s = socket.socket(family, socket.SOCK_DGRAM)
    s.settimeout(60)
    if "device" in how:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"eth0")
    if how.endswith("bound"):
        s.bind((sys.argv[2], 0))
    return s
if how.endswith("bound"):
    servers = servers[1:]
asked = []
if how.startswith("connected"):
    for i, server in enumerate(servers):
        s = new()
        s.connect((server, 53))
        s.send(question(i, "a%d.example" % i))
        asked.append((s, i))
else:
    s = new()
    for i, server in enumerate(servers):
        s.sendto(question(i, "a%d.example" % i), (server, 53))
        asked.append((s, i))
for s, i in asked:
    answer, peer = s.recvfrom(512)
    got = struct.unpack(">H", answer[:2])[0]
    name = s.getpeername()[0] if how.startswith("connected") else "-"
    print(got, peer[0], peer[1], name, ".".join(map(str, answer[-4:])))
`

func TestDNSAnswersComeFromWhoWasAsked(t *testing.T) {
	pods := netnsrig.Test(t, "a", "one", "two")
	a := manage(t, load(t), pods[0], nil)
	proxy := a.withDNS()
	nameserver(t, pods[1], netip.MustParseAddr("192.0.2.1"))
	nameserver(t, pods[2], netip.MustParseAddr("192.0.2.2"))
	for _, tt := range []struct {
		family   string
		own      netip.Addr
		one, two string
	}{
		{"IPv4", a.IPv4, pods[1].IPv4.String(), pods[2].IPv4.String()},
		{"IPv6", a.IPv6, pods[1].IPv6.String(), pods[2].IPv6.String()},
		{"mapped", netip.AddrFrom16(a.IPv4.As16()), "::ffff:" + pods[1].IPv4.String(), "::ffff:" + pods[2].IPv4.String()},
	} {
		for _, how := range []string{"unconnected", "connected", "unconnected, bound", "connected, bound"} {
			t.Run(tt.family+" "+how, func(t *testing.T) {
				args := []string{"-c", asker, strings.ReplaceAll(how, ", ", "-")}
				if strings.HasSuffix(how, "bound") {
					args = append(args, tt.own.String())
				}
				before := proxy.Stats.Questions.Load()
				out, err := a.Output(t.Context(), "python3", append(args, tt.one, tt.two, tt.one)...)
				if err != nil {
					t.Fatalf("%v\n%s", err, out)
				}
				want := map[string]bool{}
				for i, server := range []string{tt.one, tt.two, tt.one} {
					peer := "-"
					if strings.HasPrefix(how, "connected") {
						peer = server
					}
					address := "192.0.2.1"
					if server == tt.two {
						address = "192.0.2.2"
					}
					want[fmt.Sprint(i, " ", server, " 53 ", peer, " ", address)] = true
				}
				for _, line := range strings.Split(strings.TrimSpace(out), "\n") {
					if !want[line] {
						t.Errorf("not expected: %s", line)
					}
					delete(want, line)
				}
				for line := range want {
					t.Errorf("missing: %s", line)
				}
				if n := proxy.Stats.Questions.Load() - before; n != 3 {
					t.Errorf("the proxy got %d questions, want 3", n)
				}
			})
		}
	}
}

// A pod asks 16 servers by the proxy. It may ask more, by itself.
func TestDNSServersBeyondTheTable(t *testing.T) {
	pods := netnsrig.Test(t, "a", "server")
	a := manage(t, load(t), pods[0], nil)
	proxy := a.withDNS()
	nameserver(t, pods[1], netip.MustParseAddr("192.0.2.1"))
	args := []string{"-c", asker, "unconnected"}
	for i := range 20 {
		ip := fmt.Sprintf("203.0.113.%d", i+1)
		if out, err := pods[1].Output(t.Context(), "ip", "addr", "add", ip+"/32", "dev", "lo"); err != nil {
			t.Fatal(err, out)
		}
		if out, err := a.Output(t.Context(), "ip", "route", "add", ip, "via", pods[1].IPv4.String()); err != nil {
			t.Fatal(err, out)
		}
		args = append(args, ip)
	}
	out, err := a.Output(t.Context(), "python3", args...)
	if err != nil || strings.Count(out, " 192.0.2.1\n") != 20 {
		t.Errorf("%v\n%s", err, out)
	}
	if n := proxy.Stats.Questions.Load(); n != 16 {
		t.Errorf("the proxy got %d questions, want 16", n)
	}
	counters, err := a.r.Counters()
	if err != nil || counters["dns"] != 16 || counters["dns_left_alone"] != 4 {
		t.Errorf("%v, %v", counters, err)
	}
}

func TestDNSPolicy(t *testing.T) {
	pods := netnsrig.Test(t, "a", "b", "server")
	r := load(t)
	a := manage(t, r, pods[0], nil)
	proxy := a.withDNS()
	nameserver(t, pods[2], netip.MustParseAddr("192.0.2.1"))
	server := pods[2].IPv4.String()
	ask := func(p *netnsrig.Pod) string {
		out, _ := p.Output(t.Context(), "python3", "-c", asker, "unconnected", server)
		out2, _ := p.Output(t.Context(), "python3", "-c", asker, "connected", server)
		last := func(s string) string {
			lines := strings.Split(strings.TrimSpace(s), "\n")
			return lines[len(lines)-1]
		}
		return last(out) + " | " + last(out2)
	}
	answered := "0 " + server + " 53 - 192.0.2.1 | 0 " + server + " 53 " + server + " 192.0.2.1"
	refused := "PermissionError: [Errno 1] Operation not permitted | PermissionError: [Errno 1] Operation not permitted"
	step := func(what string, p *netnsrig.Pod, want string, questions uint64) {
		t.Helper()
		before := proxy.Stats.Questions.Load()
		if got := ask(p); got != want {
			t.Errorf("%s: %q, want %q", what, got, want)
		}
		if n := proxy.Stats.Questions.Load() - before; n != questions {
			t.Errorf("%s: %d questions to the proxy, want %d", what, n, questions)
		}
	}
	step("caught", a.Pod, answered, 2)
	for how, caught := range map[string]uint64{"unconnected-device": 0, "connected-device": 1} { // only connect can unbind a socket
		before := proxy.Stats.Questions.Load()
		out, err := a.Output(t.Context(), "python3", "-c", asker, how, server)
		if err != nil || !strings.HasSuffix(out, " 192.0.2.1\n") || proxy.Stats.Questions.Load() != before+caught {
			t.Errorf("%s: %v\n%s", how, err, out)
		}
	}
	if counters, err := r.Counters(); err != nil || counters["dns_left_alone"] != 1 {
		t.Errorf("%v, %v", counters, err)
	}
	step("another pod", pods[1], answered, 0)
	if err := r.SetMaxSilence(time.Hour); err != nil { // it has never beaten
		t.Fatal(err)
	}
	step("closed", a.Pod, refused, 0)
	a.pod.FailOpen = true
	a.put()
	step("open", a.Pod, answered, 0)
	beat(t, r)
	step("beating", a.Pod, answered, 2)
	if err := r.SetBypass(true); err != nil {
		t.Fatal(err)
	}
	step("bypass", a.Pod, answered, 0)
	if err := r.SetBypass(false); err != nil {
		t.Fatal(err)
	}
	a.pod.DNS = DNS{}
	a.put()
	step("no DNS any more", a.Pod, answered, 0)
}

// What the usual programs see. musl asks all servers at once from one socket
// and takes the first answer, if it comes from one of them.
func TestDNSResolvers(t *testing.T) {
	pods := netnsrig.Test(t, "a", "one", "two")
	a := manage(t, load(t), pods[0], nil)
	proxy := a.withDNS()
	for _, p := range pods[1:] {
		nameserver(t, p, netip.MustParseAddr("192.0.2.1"))
	}
	dir := t.TempDir()
	resolvConf := filepath.Join(dir, "resolv.conf")
	text := fmt.Sprintf("nameserver %s\nnameserver %s\noptions timeout:5\n", pods[1].IPv4, pods[2].IPv6)
	if err := os.WriteFile(resolvConf, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	source := filepath.Join(dir, "resolve.c")
	if err := os.WriteFile(source, []byte(resolver), 0o644); err != nil {
		t.Fatal(err)
	}
	gosource := filepath.Join(dir, "resolve.go")
	if err := os.WriteFile(gosource, []byte(goResolver), 0o644); err != nil {
		t.Fatal(err)
	}
	programs := map[string][]string{
		"glibc":  {"gcc", "-o", dir + "/glibc", source},
		"musl":   {"musl-gcc", "-static", "-o", dir + "/musl", source},
		"Go":     {"go", "build", "-o", dir + "/Go", gosource},
		"dig":    nil,
		"getent": nil,
	}
	for name, build := range programs {
		t.Run(name, func(t *testing.T) {
			command, want := dir+"/"+name, "192.0.2.1"
			switch name {
			case "dig":
				command = "dig +short +tries=1 host.example"
			case "getent":
				command = "getent ahostsv4 host.example | cut -d' ' -f1 | sort -u"
			}
			if build != nil {
				requireTool(t, build[0])
				cmd := exec.Command(build[0], build[1:]...)
				cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GO111MODULE=off")
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Fatalf("%v\n%s", err, out)
				}
			} else {
				requireTool(t, name)
			}
			before := proxy.Stats.Questions.Load()
			out, err := a.Output(t.Context(), "unshare", "-m", "sh", "-c",
				"mount --bind "+resolvConf+" /etc/resolv.conf && "+command)
			if err != nil || strings.TrimSpace(out) != want {
				t.Errorf("%v\n%s", err, out)
			}
			if proxy.Stats.Questions.Load() == before {
				t.Error("the proxy was not asked")
			}
		})
	}
}

func requireTool(t *testing.T, name string) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("CI must have " + name)
		}
		t.Skip("no " + name)
	}
}

const resolver = `
#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>

int main(void)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
	char text[64];
	int err = getaddrinfo("host.example", "80", &hints, &found);

	if (err) {
		puts(gai_strerror(err));
		return 1;
	}
	inet_ntop(AF_INET, &((struct sockaddr_in *)found->ai_addr)->sin_addr, text, sizeof(text));
	puts(text);
	return 0;
}
`

const goResolver = `package main

import (
	"fmt"
	"net"
)

func main() {
	addrs, err := net.LookupHost("host.example")
	if err != nil {
		fmt.Println(err)
	}
	for _, a := range addrs {
		fmt.Println(a)
	}
}
`

// The proxy's own questions come from the pod, and are not caught again.
func TestDNSIsAskedFromThePod(t *testing.T) {
	pods := netnsrig.Test(t, "a", "server")
	a := manage(t, load(t), pods[0], nil)
	a.withDNS()
	nameserver(t, pods[1], netip.MustParseAddr("192.0.2.1"))
	requireTool(t, "dig")
	for _, server := range []netip.Addr{pods[1].IPv4, pods[1].IPv6} {
		own := a.IPv4
		if server.Is6() {
			own = a.IPv6
		}
		out, err := a.Output(t.Context(), "dig", "+short", "+tries=1", "@"+server.String(), "who.example", "TXT")
		if err != nil || !strings.HasPrefix(strings.Trim(out, `"[`), own.String()) {
			t.Errorf("%v: %s, want %s", err, out, own)
		}
	}
}
