package dnsproxy

import (
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// learnedNames bounds what is remembered of a pod's answers. A name is
// remembered for a while longer than its TTL: programs use an address for as
// long as they like.
const (
	learnedNames = 1024
	learnedGrace = 10 * time.Minute
)

// learned is which name an address stands for, by the answers that a pod got.
type learned struct {
	mu    sync.RWMutex
	names map[netip.Addr]learnedName
}

type learnedName struct {
	name    string
	expires time.Time
}

// name is the name that the pod last got the address for, without a final dot;
// empty if there is none.
func (l *learned) name(addr netip.Addr, now time.Time) string {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if n := l.names[addr]; now.Before(n.expires) {
		return n.name
	}
	return ""
}

// learn remembers the addresses of an answer for the name that was asked for,
// whatever other names it led through.
func (l *learned) learn(name string, m *dns.Msg, now time.Time) {
	if m.Rcode != dns.RcodeSuccess {
		return
	}
	name = strings.TrimSuffix(name, ".")
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, rr := range m.Answer {
		addr, ok := address(rr)
		if !ok {
			continue
		}
		ttl := min(time.Duration(rr.Header().Ttl)*time.Second, longestTTL)
		l.put(addr, learnedName{name, now.Add(ttl + learnedGrace)}, now)
	}
}

func (l *learned) put(addr netip.Addr, n learnedName, now time.Time) {
	if l.names == nil {
		l.names = map[netip.Addr]learnedName{}
	}
	if _, known := l.names[addr]; !known && len(l.names) >= learnedNames {
		l.makeRoom(now)
	}
	l.names[addr] = n
}

// makeRoom forgets what has expired, or if nothing has, whichever comes first.
func (l *learned) makeRoom(now time.Time) {
	var any netip.Addr
	before := len(l.names)
	for addr, n := range l.names {
		if any = addr; !now.Before(n.expires) {
			delete(l.names, addr)
		}
	}
	if len(l.names) == before {
		delete(l.names, any)
	}
}

// address is that of an A or AAAA record.
func address(rr dns.RR) (netip.Addr, bool) {
	switch rr := rr.(type) {
	case *dns.A:
		addr, ok := netip.AddrFromSlice(rr.A)
		return addr.Unmap(), ok
	case *dns.AAAA:
		addr, ok := netip.AddrFromSlice(rr.AAAA)
		return addr, ok && !addr.Is4In6()
	}
	return netip.Addr{}, false
}
