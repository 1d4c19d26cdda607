package dnsproxy

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// Each server's answer is its own, and comes from its own alias.
func TestServersAreKeptApart(t *testing.T) {
	r := newRig(t)
	r.handle(func(server netip.Addr, q *dns.Msg, _ string) *dns.Msg {
		return answerWith("a.example. 60 IN A "+server.String())(server, q, "")
	})
	for range 2 { // from the server, from the cache
		r.want(1, query("a.example", dns.TypeA), "NOERROR 192.0.2.53")
		r.want(2, query("a.example", dns.TypeA), "NOERROR 192.0.2.54")
	}
	if n := r.asked.Load(); n != 2 {
		t.Errorf("servers were asked %d times, want 2", n)
	}
}

func TestNames(t *testing.T) {
	r := newRig(t)
	r.handle(answerWith("www.example. 60 IN CNAME web.example.", "web.example. 60 IN A 198.51.100.7", "web.example. 60 IN A 198.51.100.8"))
	r.want(1, query("WWW.example", dns.TypeA), "NOERROR CNAME 198.51.100.7 198.51.100.8")
	if got := r.Name(podID, netip.MustParseAddr("198.51.100.8")); got != "www.example" {
		t.Errorf("the address stands for %q", got)
	}
	if got := r.Name(podID+1, netip.MustParseAddr("198.51.100.8")); got != "" {
		t.Errorf("to another pod, too: %q", got)
	}
	r.Remove(podID)
	if got := r.Name(podID, netip.MustParseAddr("198.51.100.8")); got != "" {
		t.Errorf("after the pod went: %q", got)
	}
}

func TestHostsOfTheMesh(t *testing.T) {
	r := newRig(t)
	names := NewNames()
	for _, domain := range []string{"shop.mesh:8080", "*.stores.mesh", "known.mesh", "*", "*:80", "10.0.0.1", "[fd00::1]:80", "fd00::1", "web.*"} {
		names.AddHost(domain)
	}
	names.Set("given.mesh", []netip.Addr{netip.MustParseAddr("10.1.2.3"), netip.MustParseAddr("fd00::3")}, time.Minute)
	r.SetNames(names)
	r.handle(func(server netip.Addr, q *dns.Msg, network string) *dns.Msg {
		switch q.Question[0].Name {
		case "known.mesh.":
			return answerWith("known.mesh. 60 IN A 198.51.100.7")(server, q, network)
		case "silent.stores.mesh.":
			return nil
		case "broken.stores.mesh.":
			return new(dns.Msg).SetRcode(q, dns.RcodeServerFailure)
		}
		return new(dns.Msg).SetRcode(q, dns.RcodeNameError)
	})
	standIn := func(name string) string { four, _ := r.standIns.of(name); return "NOERROR " + four.String() }
	for _, tt := range []struct {
		name string
		kind uint16
		want string
	}{
		{"shop.mesh", dns.TypeA, standIn("shop.mesh.")},
		{"SHOP.mesh", dns.TypeA, standIn("shop.mesh.")},
		{"shop.mesh", dns.TypeAAAA, "NOERROR"}, // the pod has no IPv6
		{"shop.mesh", dns.TypeMX, "NOERROR"},   // but the name is there
		{"a.b.stores.mesh", dns.TypeA, standIn("a.b.stores.mesh.")},
		{"silent.stores.mesh", dns.TypeA, standIn("silent.stores.mesh.")},
		{"broken.stores.mesh", dns.TypeA, standIn("broken.stores.mesh.")},
		{"known.mesh", dns.TypeA, "NOERROR 198.51.100.7"}, // the server has the last word
		{"stores.mesh", dns.TypeA, "NXDOMAIN"},
		{"other.example", dns.TypeA, "NXDOMAIN"},
		{"given.mesh", dns.TypeA, "NOERROR 10.1.2.3"},
		{"given.mesh", dns.TypeAAAA, "NOERROR fd00::3"},
		{"given.mesh", dns.TypeTXT, "NOERROR"},
	} {
		r.want(1, query(tt.name, tt.kind), tt.want)
	}
	four, _ := r.standIns.of("shop.mesh.")
	if got := r.Name(podID, four); got != "shop.mesh" || !IsStandIn(four) {
		t.Errorf("%s stands for %q", four, got)
	}
}

func TestStandInsStayApart(t *testing.T) {
	var s, again standIns
	seen := map[netip.Addr]string{}
	for i := range 5000 {
		name := fmt.Sprintf("host%d.mesh.", i)
		four, six := s.of(name)
		if !IsStandIn(four) || !IsStandIn(six) {
			t.Fatalf("%s: %s, %s", name, four, six)
		}
		if other := seen[four]; other != "" {
			t.Fatalf("%s is of %s and of %s", four, other, name)
		}
		seen[four] = name
		if restarted, _ := again.of(name); restarted != four {
			t.Fatalf("%s: %s, after a restart %s", name, four, restarted)
		}
	}
	for i := range 1 << 17 { // more than there are: bounded
		s.of(fmt.Sprintf("made-up%d.stores.mesh.", i))
	}
	if len(s.names) > hostNumbers || len(s.byName) != len(s.names) {
		t.Errorf("%d names, %d addresses", len(s.byName), len(s.names))
	}
}

// An answer that does not fit is asked for by TCP. The pod gets what fits, and
// all of it when it comes by TCP itself.
func TestTruncated(t *testing.T) {
	r := newRig(t)
	long := make([]string, 40)
	for i := range long {
		long[i] = fmt.Sprintf("big.example. 60 IN A 198.51.100.%d", i)
	}
	r.handle(func(server netip.Addr, q *dns.Msg, network string) *dns.Msg {
		m := answerWith(long...)(server, q, network)
		if network == "udp" {
			m.Truncate(dns.MinMsgSize)
		}
		return m
	})
	m := r.ask(1, query("big.example", dns.TypeA))
	if !m.Truncated || len(m.Answer) >= len(long) {
		t.Errorf("512 bytes: %s", text(m))
	}
	q := query("big.example", dns.TypeA)
	q.SetEdns0(4096, false)
	if m := r.ask(1, q); m.Truncated || len(m.Answer) != len(long) {
		t.Errorf("4096 bytes: %s", text(m))
	}
	ours, theirs := net.Pipe()
	r.ServeStream(podID, one, theirs)
	ours.SetDeadline(time.Now().Add(10 * time.Second))
	for range 2 { // two questions by one connection
		if err := writeMessage(ours, must(query("big.example", dns.TypeA).Pack())); err != nil {
			t.Fatal(err)
		}
		raw, err := readMessage(ours)
		if err != nil {
			t.Fatal(err)
		}
		if m := new(dns.Msg); m.Unpack(raw) != nil || m.Truncated || len(m.Answer) != len(long) {
			t.Errorf("by TCP: %s", text(m))
		}
	}
	ours.Close()
}

// What is no question goes to the server as it is, and its answer back.
func TestPassedAsItIs(t *testing.T) {
	r := newRig(t)
	r.handle(func(_ netip.Addr, q *dns.Msg, _ string) *dns.Msg {
		m := new(dns.Msg).SetReply(q)
		m.Rcode = dns.RcodeNotZone
		return m
	})
	update := query("example", dns.TypeSOA)
	update.Opcode = dns.OpcodeUpdate
	chaos := query("version.bind", dns.TypeTXT)
	chaos.Question[0].Qclass = dns.ClassCHAOS
	for range 2 {
		r.want(1, update, "NOTZONE")
		r.want(1, chaos, "NOTZONE")
	}
	if n := r.asked.Load(); n != 4 {
		t.Errorf("the server got %d of 4", n)
	}
}

// Whoever is silent, sends nonsense or asks too much is not answered, and
// others are.
func TestHostileClients(t *testing.T) {
	r := newRig(t)
	release := make(chan struct{})
	r.handle(func(server netip.Addr, q *dns.Msg, network string) *dns.Msg {
		if q.Question[0].Name == "slow.example." {
			<-release
		}
		return answerWith("a.example. 60 IN A 198.51.100.7")(server, q, network)
	})
	conn, err := net.Dial("udp4", fmt.Sprintf("127.53.0.1:%d", r.port))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	response := query("a.example", dns.TypeA)
	response.Response = true
	for _, junk := range [][]byte{nil, {1}, bytes.Repeat([]byte{0xff}, 5000), must(response.Pack())} {
		if _, err := conn.Write(junk); err != nil {
			t.Fatal(err)
		}
	}
	elsewhere, err := net.Dial("udp4", fmt.Sprintf("127.0.0.1:%d", r.port))
	if err != nil {
		t.Fatal(err)
	}
	defer elsewhere.Close()
	if _, err := elsewhere.Write(must(query("a.example", dns.TypeA).Pack())); err != nil {
		t.Fatal(err)
	}
	eventually(t, "junk is dropped", func() bool { return r.Stats.Dropped.Load() == 5 })
	for i := range 2 * questionsPerPod {
		q := query("slow.example", dns.TypeA)
		q.Id = uint16(i)
		if _, err := conn.Write(must(q.Pack())); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "questions beyond the bound are dropped", func() bool {
		return r.Stats.Questions.Load() == 5+2*questionsPerPod && r.Stats.Dropped.Load() == 5+questionsPerPod
	})
	close(release)
	eventually(t, "all is over", func() bool { return len(r.slots) == 0 })
	r.want(1, query("a.example", dns.TypeA), "NOERROR 198.51.100.7")
}

// A server that cannot be reached is said so; one that is silent is silent.
func TestFailures(t *testing.T) {
	r := newRig(t)
	other := New(Options{Dial: r.dial, Log: r.opts.Log})
	defer other.Close()
	if err := other.Add(Pod{ID: podID + 1, Name: "another"}, nil); err != nil {
		t.Fatal(err)
	}
	q := query("a.example", dns.TypeA)
	m := new(dns.Msg)
	if err := m.Unpack(other.answer(other.pod(podID+1), one, must(q.Pack()), false)); err != nil || text(m) != "SERVFAIL" {
		t.Errorf("%v: %s", err, text(m))
	}
	if !isTimeout(&net.OpError{Err: timeout{}}) {
		t.Error("a timeout is none")
	}
}

type timeout struct{}

func (timeout) Error() string { return "timeout" }
func (timeout) Timeout() bool { return true }

// A guess that is not the answer is skipped.
func TestAnswersMustMatch(t *testing.T) {
	q := query("a.example", dns.TypeA)
	raw := must(q.Pack())
	right := answerWith("a.example. 60 IN A 198.51.100.7")(one, q, "")
	wrongID, wrongName, noQuestion, isQuery := right.Copy(), right.Copy(), right.Copy(), right.Copy()
	wrongID.Id++
	wrongName.Question[0].Name = "b.example."
	noQuestion.Question = nil
	isQuery.Response = false
	upper := right.Copy()
	upper.Question[0].Name = "A.EXAMPLE."
	for _, tt := range []struct {
		m    *dns.Msg
		want bool
	}{{right, true}, {upper, true}, {noQuestion, true}, {wrongID, false}, {wrongName, false}, {isQuery, false}} {
		if got := answers(must(tt.m.Pack()), raw); got != tt.want {
			t.Errorf("%v: %v", tt.m, got)
		}
	}
	ours, theirs := net.Pipe()
	defer theirs.Close()
	go func() {
		theirs.Read(make([]byte, maxMessage))
		for _, m := range []*dns.Msg{wrongID, wrongName, right} {
			theirs.Write(must(m.Pack()))
		}
	}()
	got, err := exchangeUDP(ours, raw)
	if err != nil || !bytes.Equal(got, must(right.Pack())) {
		t.Errorf("%v, %v", got, err)
	}
}

func TestAliases(t *testing.T) {
	s := table(t, one, netip.MustParseAddr("2001:db8::53"))
	defer s.Close()
	for alias, want := range map[string]string{
		"127.53.0.1": "192.0.2.53", "127.53.0.2": "", "127.53.0.3": "", "127.53.0.0": "", "127.53.1.1": "", "127.0.0.1": "",
		"127.53.0.17": "", "fd77:6569:7200:53::2": "2001:db8::53", "fd77:6569:7200:53::1": "", "fd77:6569:7200:53::11": "", "::1": "",
	} {
		got, ok := s.Of(netip.MustParseAddr(alias))
		if ok != (want != "") || ok && got.String() != want {
			t.Errorf("%s: %s, %v; want %q", alias, got, ok, want)
		}
	}
	if _, err := OpenServers(0, maxPods); err == nil || !strings.Contains(err.Error(), "slot 4096") {
		t.Errorf("a slot that there is not: %v", err)
	}
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not in time: %s", what)
		}
	}
}
