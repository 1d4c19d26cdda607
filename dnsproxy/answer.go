package dnsproxy

import (
	"context"
	"net/netip"
	"time"

	"github.com/miekg/dns"
)

// standInTTL is how long the address that stands for a host may be kept. It
// is short: the host may get an address of its own.
const standInTTL = 30 * time.Second

// standInPatience is how long a server is waited for that is asked for a host
// of the mesh: for less than the client waits.
const standInPatience = 2 * time.Second

// answer is what the pod is told; nil: nothing, as by a server that is silent.
func (s *Server) answer(p *pod, server netip.Addr, query []byte, overTCP bool) []byte {
	q, ok := parseQuestion(query)
	if !ok {
		return s.pass(p, server, query, overTCP)
	}
	if overTCP {
		q.size = maxMessage
	}
	names := s.names.Load()
	if g, ok := names.given[q.name]; ok {
		s.Stats.Given.Add(1)
		return s.tell(p, q, q.addresses(g.addrs, g.ttl), nil)
	}
	key := string(server.AppendTo(nil)) + "\x00" + string(query[2:])
	if m, ok := p.cache.get(key, q.msg.Id, time.Now()); ok {
		s.Stats.Cached.Add(1)
		return s.tell(p, q, m, nil)
	}
	isHost := names.isHost(q.name)
	raw, err := s.ask(p, server, query, overTCP, isHost)
	m := new(dns.Msg)
	parsed := err == nil && m.Unpack(raw) == nil
	switch {
	case isHost && (err != nil || parsed && !knows(m)):
		s.Stats.StandIn.Add(1)
		return s.tell(p, q, s.standIn(p, q), nil)
	case err != nil:
		return s.failure(q, err)
	case !parsed:
		return raw // it may mean something to the pod
	}
	p.cache.put(key, m, raw, time.Now())
	return s.tell(p, q, m, raw)
}

// pass takes what is no question to the server, and its answer back.
func (s *Server) pass(p *pod, server netip.Addr, query []byte, overTCP bool) []byte {
	s.Stats.Forwarded.Add(1)
	answer, err := s.forward(s.ctx, p.ID, server, query, overTCP)
	if err != nil {
		s.Stats.Failed.Add(1)
		return nil
	}
	return answer
}

func (s *Server) ask(p *pod, server netip.Addr, query []byte, overTCP, isHost bool) ([]byte, error) {
	s.Stats.Forwarded.Add(1)
	ctx := s.ctx
	if isHost {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, standInPatience)
		defer cancel()
	}
	return s.forward(ctx, p.ID, server, query, overTCP)
}

// failure is silence if the server was silent. A client that may give up at
// once, because the server cannot be reached, is told so.
func (s *Server) failure(q *question, err error) []byte {
	s.Stats.Failed.Add(1)
	s.opts.Log.Debug("a DNS server does not answer", "name", q.name, "error", err)
	if isTimeout(err) {
		return nil
	}
	return pack(q.reply(dns.RcodeServerFailure))
}

// knows reports whether a server knows a name, with or without records.
func knows(m *dns.Msg) bool { return m.Rcode == dns.RcodeSuccess }

// standIn answers for a host of the mesh.
func (s *Server) standIn(p *pod, q *question) *dns.Msg {
	if !q.isAddress() {
		return q.reply(dns.RcodeSuccess)
	}
	four, six := s.standIns.of(q.name)
	addrs := []netip.Addr{four}
	if p.IPv6 {
		addrs = append(addrs, six)
	}
	return q.addresses(addrs, standInTTL)
}

// tell is the answer as the pod gets it, raw if that is not nil and fits. The
// pod knows its addresses from now on, and so do we.
func (s *Server) tell(p *pod, q *question, m *dns.Msg, raw []byte) []byte {
	if q.isAddress() {
		p.learned.learn(q.name, m, time.Now())
	}
	if raw != nil && len(raw) <= q.size {
		return raw
	}
	m.Truncate(q.size)
	return pack(m)
}

func pack(m *dns.Msg) []byte {
	b, err := m.Pack()
	if err != nil {
		return nil // what was unpacked can be packed
	}
	return b
}

// addresses is an answer with those of the addresses that were asked for.
func (q *question) addresses(addrs []netip.Addr, ttl time.Duration) *dns.Msg {
	r := q.reply(dns.RcodeSuccess)
	r.Authoritative = true
	header := dns.RR_Header{Name: q.msg.Question[0].Name, Rrtype: q.kind, Class: dns.ClassINET, Ttl: uint32(ttl / time.Second)}
	for _, addr := range addrs {
		switch {
		case q.kind == dns.TypeA && addr.Is4():
			r.Answer = append(r.Answer, &dns.A{Hdr: header, A: addr.AsSlice()})
		case q.kind == dns.TypeAAAA && addr.Is6():
			r.Answer = append(r.Answer, &dns.AAAA{Hdr: header, AAAA: addr.AsSlice()})
		}
	}
	return r
}
