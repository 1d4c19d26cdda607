package dns

import (
	"context"
	"net/netip"
	"time"
)

// Family is which addresses are asked for
// (envoy.config.cluster.v3.Cluster.DnsLookupFamily).
type Family uint8

const (
	Auto        Family = iota // IPv6, or IPv4 when there is none
	V4Only                    //
	V6Only                    //
	V4Preferred               // IPv4, or IPv6 when there is none
	All                       // both
)

// Config is how names are resolved. The zero value is the system's way.
type Config struct {
	Servers  []netip.AddrPort // instead of those of /etc/resolv.conf
	TCP      bool             // never ask over UDP
	NoSearch bool             // names are complete: no search domains
	Timeout  time.Duration    // for each try; 0: 5 s
	Tries    int              // of each server; 0: 4
}

// Answer is what a lookup gave: addresses without duplicates, IPv6 first, or
// why there are none. That there is no such name, or that it has no addresses,
// is an answer without any, as in Envoy.
type Answer struct {
	Addrs []netip.Addr
	TTL   time.Duration // the shortest of the records'
	Err   error
	// Questions are how the questions ended that the lookup took.
	Questions Questions
}

// Questions counts questions by their ends. Those for both families of All are
// one.
type Questions struct {
	Asked    int
	NotFound int // answered without records
	Failed   int // but by time
	Timeouts int // of their tries
}

// Resolver looks names up.
type Resolver interface {
	// Lookup resolves name and calls done from another goroutine, not after
	// ctx has ended.
	Lookup(ctx context.Context, cfg *Config, name string, f Family, done func(Answer))
}

// System resolves by the machine's files and name servers.
type System struct {
	Hosts      string // "": /etc/hosts
	ResolvConf string // "": /etc/resolv.conf
}

// Lookup implements Resolver.
func (s *System) Lookup(ctx context.Context, cfg *Config, name string, f Family, done func(Answer)) {
	go func() {
		a := s.resolve(ctx, cfg, name, f)
		if ctx.Err() == nil {
			done(a)
		}
	}()
}

func (s *System) resolve(ctx context.Context, cfg *Config, name string, f Family) Answer {
	if ip, err := netip.ParseAddr(name); err == nil {
		return Answer{Addrs: []netip.Addr{ip.Unmap()}, TTL: literalTTL}
	}
	if addrs := lookupHosts(orDefault(s.Hosts, "/etc/hosts"), name, f); len(addrs) > 0 {
		return Answer{Addrs: addrs, TTL: literalTTL}
	}
	q, err := newQuery(cfg, orDefault(s.ResolvConf, "/etc/resolv.conf"))
	if err != nil {
		return Answer{Err: err}
	}
	a := q.resolve(ctx, name, f)
	if f == All {
		a.Questions = a.Questions.joined()
	}
	return a
}

// joined is the count of pairs of questions.
func (q Questions) joined() Questions {
	return Questions{Asked: q.Asked / 2, NotFound: q.NotFound / 2, Failed: q.Failed / 2, Timeouts: q.Timeouts}
}

// literalTTL stands for "does not change": what c-ares gives for answers that
// are not from DNS is 0, but asking again every second would be useless.
const literalTTL = time.Minute

func orDefault(s, d string) string {
	if s == "" {
		return d
	}
	return s
}

// choose keeps the addresses of the family asked for.
func choose(v4, v6 []netip.Addr, f Family) []netip.Addr {
	switch f {
	case V4Only:
		return v4
	case V6Only:
		return v6
	case V4Preferred:
		if len(v4) > 0 {
			return v4
		}
		return v6
	case All:
		return append(v6, v4...)
	}
	if len(v6) > 0 {
		return v6
	}
	return v4
}
