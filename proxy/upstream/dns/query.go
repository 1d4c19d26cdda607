package dns

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/miekg/dns"
)

// query is one lookup's way to ask.
type query struct {
	conf    *dns.ClientConfig
	servers []string
	tcp     bool
	search  bool
	timeout time.Duration
	tries   int
	counts  Questions
}

func newQuery(cfg *Config, resolvConf string) (*query, error) {
	q := &query{tcp: cfg.TCP, search: !cfg.NoSearch, timeout: cfg.Timeout, tries: cfg.Tries}
	if q.timeout <= 0 {
		q.timeout = 5 * time.Second
	}
	if q.tries <= 0 {
		q.tries = 4
	}
	conf, err := dns.ClientConfigFromFile(resolvConf)
	if err != nil && len(cfg.Servers) == 0 {
		return nil, fmt.Errorf("no name server: %w", err)
	}
	if err != nil {
		conf = &dns.ClientConfig{Ndots: 1}
	}
	q.conf = conf
	for _, s := range cfg.Servers {
		q.servers = append(q.servers, s.String())
	}
	if len(q.servers) == 0 {
		for _, s := range conf.Servers {
			q.servers = append(q.servers, net.JoinHostPort(s, conf.Port))
		}
	}
	if len(q.servers) == 0 {
		return nil, fmt.Errorf("no name server in %s", resolvConf)
	}
	return q, nil
}

// resolve tries the name with the search domains until one exists.
func (q *query) resolve(ctx context.Context, name string, f Family) Answer {
	names := []string{dns.Fqdn(name)}
	if q.search {
		names = q.conf.NameList(name)
	}
	var a Answer
	for _, n := range names {
		a = q.addresses(ctx, n, f)
		if len(a.Addrs) > 0 || a.Err != nil {
			break
		}
	}
	if a.Err != nil {
		a.Err = fmt.Errorf("resolve %s: %w", name, a.Err)
	}
	a.Questions = q.counts
	return a
}

// addresses asks for the record types that the family needs.
func (q *query) addresses(ctx context.Context, name string, f Family) Answer {
	var v4, v6 []netip.Addr
	var err4, err6 error
	ttl := time.Duration(-1)
	if f != V4Only && f != V4Preferred {
		v6, err6 = q.ask(ctx, name, dns.TypeAAAA, &ttl)
	}
	if f != V6Only && !(f == Auto && len(v6) > 0) {
		v4, err4 = q.ask(ctx, name, dns.TypeA, &ttl)
	}
	if f == V4Preferred && len(v4) == 0 {
		v6, err6 = q.ask(ctx, name, dns.TypeAAAA, &ttl)
	}
	a := Answer{Addrs: choose(v4, v6, f), TTL: max(ttl, 0)}
	if len(a.Addrs) == 0 {
		a.Err = errors.Join(err4, err6)
	}
	return a
}

// ask puts one question, and counts how it ends. It lowers ttl to the shortest
// of the records'.
func (q *query) ask(ctx context.Context, name string, t uint16, ttl *time.Duration) ([]netip.Addr, error) {
	found, err := q.try(ctx, name, t, ttl)
	q.counts.Asked++
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
	case err != nil:
		q.counts.Failed++
	case len(found) == 0:
		q.counts.NotFound++
	}
	return found, err
}

// try asks the servers in turn until one knows. That there is no such name is
// an answer without records.
func (q *query) try(ctx context.Context, name string, t uint16, ttl *time.Duration) ([]netip.Addr, error) {
	m := new(dns.Msg)
	m.SetQuestion(name, t)
	var lastErr error
	for range q.tries {
		for _, server := range q.servers {
			r, err := q.exchange(ctx, m, server)
			switch {
			case ctx.Err() != nil:
				return nil, ctx.Err()
			case err != nil:
				if lastErr = err; errors.Is(err, os.ErrDeadlineExceeded) {
					q.counts.Timeouts++
				}
			case r.Rcode == dns.RcodeNameError:
				return nil, nil
			case r.Rcode != dns.RcodeSuccess:
				lastErr = fmt.Errorf("server %s answered %s", server, dns.RcodeToString[r.Rcode])
			default:
				return records(r, t, ttl), nil
			}
		}
	}
	return nil, lastErr
}

func (q *query) exchange(ctx context.Context, m *dns.Msg, server string) (*dns.Msg, error) {
	c := &dns.Client{Net: "udp", Timeout: q.timeout}
	if q.tcp {
		c.Net = "tcp"
	}
	r, _, err := c.ExchangeContext(ctx, m, server)
	if err == nil && r.Truncated && !q.tcp {
		c.Net = "tcp"
		r, _, err = c.ExchangeContext(ctx, m, server)
	}
	return r, err
}

func records(r *dns.Msg, t uint16, ttl *time.Duration) (out []netip.Addr) {
	for _, rr := range r.Answer {
		if d := time.Duration(rr.Header().Ttl) * time.Second; *ttl < 0 || d < *ttl {
			*ttl = d // those of CNAMEs on the way count as well
		}
		var ip net.IP
		switch rr := rr.(type) {
		case *dns.A:
			ip = rr.A
		case *dns.AAAA:
			ip = rr.AAAA
		}
		if a, ok := netip.AddrFromSlice(ip); ok && rr.Header().Rrtype == t {
			out = add(out, a.Unmap())
		}
	}
	return out
}
