package dnsproxy

import (
	"sync"
	"time"

	"github.com/miekg/dns"
)

// Bounds of a pod's cache.
const (
	cachedAnswers = 256
	cachedSize    = 4096             // of an answer that is kept, in bytes
	longestTTL    = 10 * time.Minute // however long a server says
	longestNoTTL  = 30 * time.Second // of an answer that there is nothing
)

// cache is what a pod's servers have answered. The key is the server and all
// of the question but its number: what differs in any way, options for the
// server included, may be answered differently.
type cache struct {
	mu      sync.Mutex
	answers map[string]cached
}

type cached struct {
	answer  []byte
	got     time.Time
	expires time.Time
}

// get is an answer with its TTLs as they are by now, and the question's number.
func (c *cache) get(key string, id uint16, now time.Time) (*dns.Msg, bool) {
	c.mu.Lock()
	e, ok := c.answers[key]
	if ok && !now.Before(e.expires) {
		delete(c.answers, key)
		ok = false
	}
	c.mu.Unlock()
	if !ok {
		return nil, false
	}
	m := new(dns.Msg)
	if err := m.Unpack(e.answer); err != nil {
		return nil, false // it was read before it was kept
	}
	m.Id, m.Compress = id, true
	age(m, now.Sub(e.got))
	return m, true
}

// put keeps an answer for as long as it may be believed.
func (c *cache) put(key string, m *dns.Msg, packed []byte, now time.Time) {
	ttl := lifetime(m)
	if ttl <= 0 || len(packed) > cachedSize {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.answers == nil {
		c.answers = map[string]cached{}
	}
	if _, known := c.answers[key]; !known && len(c.answers) >= cachedAnswers {
		for any := range c.answers { // whichever: it is asked for again if it is missed
			delete(c.answers, any)
			break
		}
	}
	c.answers[key] = cached{answer: packed, got: now, expires: now.Add(ttl)}
}

// lifetime is how long an answer may be repeated; 0: not at all. That there is
// nothing may be as long as the zone's SOA says (RFC 2308, 5).
func lifetime(m *dns.Msg) time.Duration {
	if m.Truncated || m.IsTsig() != nil {
		return 0
	}
	most := longestTTL
	switch {
	case m.Rcode == dns.RcodeSuccess && len(m.Answer) > 0:
	case m.Rcode == dns.RcodeSuccess || m.Rcode == dns.RcodeNameError:
		soa := soaOf(m)
		if soa == nil {
			return 0
		}
		most = min(longestNoTTL, time.Duration(min(soa.Minttl, soa.Hdr.Ttl))*time.Second)
	default:
		return 0
	}
	for _, rr := range records(m) {
		most = min(most, time.Duration(rr.Header().Ttl)*time.Second)
	}
	return most
}

func soaOf(m *dns.Msg) *dns.SOA {
	for _, rr := range m.Ns {
		if soa, ok := rr.(*dns.SOA); ok {
			return soa
		}
	}
	return nil
}

// age lowers the TTLs of an answer that is that old.
func age(m *dns.Msg, by time.Duration) {
	seconds := uint32(by / time.Second)
	for _, rr := range records(m) {
		h := rr.Header()
		h.Ttl -= min(h.Ttl, seconds)
	}
}

// records are all of a message's that have a TTL.
func records(m *dns.Msg) []dns.RR {
	var all []dns.RR
	for _, section := range [][]dns.RR{m.Answer, m.Ns, m.Extra} {
		for _, rr := range section {
			if rr.Header().Rrtype != dns.TypeOPT {
				all = append(all, rr)
			}
		}
	}
	return all
}
