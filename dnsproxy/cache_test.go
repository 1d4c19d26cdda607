package dnsproxy

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/miekg/dns"
)

func TestLifetime(t *testing.T) {
	soa := must(dns.NewRR("example. 900 IN SOA ns.example. root.example. 1 2 3 4 20"))
	a := func(ttl int) dns.RR { return must(dns.NewRR(fmt.Sprintf("a.example. %d IN A 192.0.2.1", ttl))) }
	for name, tt := range map[string]struct {
		change func(*dns.Msg)
		want   time.Duration
	}{
		"the shortest":         {func(m *dns.Msg) { m.Answer = []dns.RR{a(60), a(30)} }, 30 * time.Second},
		"the longest there is": {func(m *dns.Msg) { m.Answer = []dns.RR{a(1 << 30)} }, longestTTL},
		"not at all":           {func(m *dns.Msg) { m.Answer = []dns.RR{a(0)} }, 0},
		"glue counts":          {func(m *dns.Msg) { m.Answer, m.Extra = []dns.RR{a(60)}, []dns.RR{a(5)} }, 5 * time.Second},
		"an OPT has no TTL":    {func(m *dns.Msg) { m.Answer = []dns.RR{a(60)}; m.SetEdns0(512, true) }, time.Minute},
		"no such name":         {func(m *dns.Msg) { m.Rcode, m.Ns = dns.RcodeNameError, []dns.RR{soa} }, 20 * time.Second},
		"nothing there":        {func(m *dns.Msg) { m.Ns = []dns.RR{soa} }, 20 * time.Second},
		"nothing, no SOA":      {func(m *dns.Msg) {}, 0},
		"a failure":            {func(m *dns.Msg) { m.Rcode, m.Answer = dns.RcodeServerFailure, []dns.RR{a(60)} }, 0},
		"cut off":              {func(m *dns.Msg) { m.Truncated, m.Answer = true, []dns.RR{a(60)} }, 0},
	} {
		m := new(dns.Msg).SetReply(query("a.example", dns.TypeA))
		tt.change(m)
		if got := lifetime(m); got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
}

func TestCacheAges(t *testing.T) {
	var c cache
	now := time.Unix(1e9, 0)
	m := answerWith("a.example. 60 IN A 192.0.2.1")(one, query("a.example", dns.TypeA), "")
	c.put("key", m, must(m.Pack()), now)
	got, ok := c.get("key", 4711, now.Add(20*time.Second))
	if !ok || got.Id != 4711 || got.Answer[0].Header().Ttl != 40 {
		t.Errorf("%v, %v", got, ok)
	}
	if _, ok := c.get("key", 1, now.Add(time.Minute)); ok {
		t.Error("it has expired")
	}
	if len(c.answers) != 0 {
		t.Error("what has expired is kept")
	}
}

// However many names a pod asks for, what is kept of it is bounded.
func TestBounds(t *testing.T) {
	var c cache
	var l learned
	now := time.Unix(1e9, 0)
	for i := range 5000 {
		name := fmt.Sprintf("n%d.example.", i)
		m := answerWith(fmt.Sprintf("%s 60 IN A 10.0.%d.%d", name, i>>8, i&255))(one, query(name, dns.TypeA), "")
		c.put(name, m, must(m.Pack()), now)
		l.learn(name, m, now)
	}
	if len(c.answers) != cachedAnswers || len(l.names) != learnedNames {
		t.Errorf("%d answers, %d names", len(c.answers), len(l.names))
	}
	m := answerWith("late.example. 60 IN A 10.9.9.9")(one, query("late.example", dns.TypeA), "")
	l.learn("late.example.", m, now.Add(time.Hour)) // all others have expired
	if len(l.names) != 1 || l.name(netip.MustParseAddr("10.9.9.9"), now.Add(time.Hour)) != "late.example" {
		t.Errorf("%d names", len(l.names))
	}
}
