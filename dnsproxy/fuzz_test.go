package dnsproxy

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// Whatever a pod asks and a server answers: nothing breaks, what the pod gets
// is an answer to its question, and not longer than it said.
func FuzzAnswer(f *testing.F) {
	q := query("a.example", dns.TypeA)
	edns := query("a.example", dns.TypeAAAA)
	edns.SetEdns0(1232, true)
	for _, q := range []*dns.Msg{q, edns} {
		a := answerWith("a.example. 60 IN CNAME b.example.", "b.example. 60 IN A 192.0.2.1")(one, q, "")
		f.Add(must(q.Pack()), must(a.Pack()))
		a.Truncated = true
		f.Add(must(q.Pack()), must(a.Pack()))
		a.Rcode, a.Answer = dns.RcodeNameError, nil
		f.Add(must(q.Pack()), must(a.Pack()))
	}
	f.Add([]byte{}, []byte{})
	f.Fuzz(func(t *testing.T, query, answer []byte) {
		if len(query) < headerSize {
			return
		}
		q, ok := parseQuestion(query)
		if !ok {
			return
		}
		if section := questionSection(query); section != nil && !bytes.Contains(query, section) {
			t.Fatal("a question that is not in the query")
		}
		names := NewNames()
		names.isHost(q.name)
		s := New(Options{})
		defer s.Close()
		p := &pod{}
		m := new(dns.Msg)
		if answers(answer, query) && m.Unpack(answer) == nil {
			p.cache.put("key", m, answer, time.Now())
			if kept, ok := p.cache.get("key", q.msg.Id, time.Now()); ok {
				check(t, q, s.tell(p, q, kept, nil))
			}
			check(t, q, s.tell(p, q, m, answer))
		}
		check(t, q, s.tell(p, q, s.standIn(p, q), nil))
		check(t, q, s.tell(p, q, q.addresses([]netip.Addr{one, netip.MustParseAddr("fd00::1")}, time.Minute), nil))
	})
}

func check(t *testing.T, q *question, answer []byte) {
	t.Helper()
	if answer == nil {
		return // it could be read, but not be written: there are such records
	}
	if len(answer) > q.size {
		t.Fatalf("%d bytes for a client that takes %d", len(answer), q.size)
	}
	if len(answer) < headerSize || !isResponse(answer) {
		t.Fatal("the answer is none")
	}
}

func FuzzDestination(f *testing.F) {
	f.Add(source(one))
	f.Add(source(netip.MustParseAddr("fd00::1")))
	f.Fuzz(func(t *testing.T, oob []byte) { destination(oob) })
}
