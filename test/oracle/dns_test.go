//go:build oracle

package oracle

import (
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// nameServer answers for names as it is told, over UDP and TCP.
type nameServer struct {
	mu     sync.Mutex
	zone   map[string]zoneEntry
	asked  map[string]bool // "udp A x.example."
	silent bool
}

// zoneEntry is what there is of a name.
type zoneEntry struct {
	addresses []string // of both families
	ttl       uint32
	alias     uint32 // the TTL of a CNAME before the addresses, 0: there is none
	code      int
}

func startNameServer(t *testing.T) (*nameServer, int) {
	t.Helper()
	s := &nameServer{}
	s.set(nil)
	packets, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	streams, err := net.Listen("tcp", packets.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range []*dns.Server{{PacketConn: packets}, {Listener: streams}} {
		d.Handler = s
		go d.ActivateAndServe()
		t.Cleanup(func() { d.Shutdown() })
	}
	return s, packets.LocalAddr().(*net.UDPAddr).Port
}

// set replaces all that the server knows.
func (s *nameServer) set(zone map[string]zoneEntry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.zone, s.asked = zone, map[string]bool{}
}

// questions are those that were asked since set.
func (s *nameServer) questions() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(slices.Sorted(maps.Keys(s.asked)), ", ")
}

func (s *nameServer) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ask := q.Question[0]
	s.asked[w.LocalAddr().Network()+" "+dns.TypeToString[ask.Qtype]+" "+ask.Name] = true
	if s.silent {
		return
	}
	m := new(dns.Msg).SetReply(q)
	e, ok := s.zone[strings.TrimSuffix(ask.Name, ".")]
	if m.Rcode = e.code; !ok {
		m.Rcode = dns.RcodeNameError
	}
	name := ask.Name
	if e.alias > 0 {
		name = "alias.example."
		m.Answer = append(m.Answer, &dns.CNAME{Hdr: dns.RR_Header{Name: ask.Name, Rrtype: dns.TypeCNAME, Class: dns.ClassINET, Ttl: e.alias}, Target: name})
	}
	for _, a := range e.addresses {
		ip := net.ParseIP(a)
		h := dns.RR_Header{Name: name, Rrtype: ask.Qtype, Class: dns.ClassINET, Ttl: e.ttl}
		switch four := ip.To4() != nil; {
		case four && ask.Qtype == dns.TypeA:
			m.Answer = append(m.Answer, &dns.A{Hdr: h, A: ip})
		case !four && ask.Qtype == dns.TypeAAAA:
			m.Answer = append(m.Answer, &dns.AAAA{Hdr: h, AAAA: ip})
		}
	}
	w.WriteMsg(m)
}

// startTellers are HTTP servers on one port of several addresses, each of
// which says at which it was asked.
func startTellers(t *testing.T, at ...string) (port string) {
	t.Helper()
	port = "0"
	for _, ip := range at {
		l, err := net.Listen("tcp", net.JoinHostPort(ip, port))
		if err != nil {
			t.Fatal(err)
		}
		_, port, _ = net.SplitHostPort(l.Addr().String())
		s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, ip+" "+r.Host) })}
		go s.Serve(l)
		t.Cleanup(func() { s.Close() })
	}
	return port
}

// reached is what n requests, one after another, are answered with.
func reached(t *testing.T, p *proxy, n int) string {
	t.Helper()
	seen := map[string]bool{}
	for range n {
		r, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/", p.port))
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(r.Body)
		r.Body.Close()
		seen[fmt.Sprintf("%d %s", r.StatusCode, strings.ReplaceAll(string(b), fmt.Sprint(p.port), "<port>"))] = true
	}
	return strings.Join(slices.Sorted(maps.Keys(seen)), ", ")
}

// step is a state of the names, and how long it lasts before the cluster is
// looked at.
type step struct {
	zone map[string]zoneEntry
	wait time.Duration
}

const named = `
admin: {address: {socket_address: {address: 127.0.0.1, port_value: %d}}}
static_resources:
  listeners:
  - name: l
    address: {socket_address: {address: 127.0.0.1, port_value: %d}}
    filter_chains: [{filters: [{name: h, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager, stat_prefix: h,
      route_config: {virtual_hosts: [{name: a, domains: ["*"], routes: [{match: {prefix: /}, route: {cluster: c, auto_host_rewrite: true}}]}]},
      http_filters: [{name: r, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}]}}]}]
  clusters:
  - %s
`

func TestNames(t *testing.T) {
	addresses := []string{"127.0.0.1", "127.0.0.2", "127.0.0.3", "::1"}
	port := startTellers(t, addresses...)
	names, dnsPort := startNameServer(t)
	const (
		strict  = "name: c, type: STRICT_DNS, connect_timeout: 1s, dns_resolvers: [{socket_address: {address: 127.0.0.1, port_value: ASK}}], load_assignment: {cluster_name: c, endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: a.example, port_value: PORT}}}}]}]}"
		logical = "name: c, type: LOGICAL_DNS, connect_timeout: 1s, dns_resolvers: [{socket_address: {address: 127.0.0.1, port_value: ASK}}], load_assignment: {cluster_name: c, endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: a.example, port_value: PORT}}}}]}]}"
		bare    = "name: c, connect_timeout: 1s, load_assignment: {cluster_name: c, endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: a.example, port_value: PORT}}}}]}]}"
		v4      = ", dns_lookup_family: V4_ONLY"
		fast    = v4 + ", dns_refresh_rate: 0.2s"
		cares   = `typed_dns_resolver_config: {name: c, typed_config: {"@type": type.googleapis.com/envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig, resolvers: [{socket_address: {address: 127.0.0.1, port_value: ASK}}]`
		ext     = bare + `, cluster_type: {name: envoy.cluster.dns, typed_config: {"@type": type.googleapis.com/envoy.extensions.clusters.dns.v3.DnsCluster, ` + cares
	)
	is := func(ttl uint32, a ...string) map[string]zoneEntry {
		return map[string]zoneEntry{"a.example": {addresses: a, ttl: ttl}}
	}
	failing := map[string]zoneEntry{"a.example": {code: dns.RcodeServerFailure}}
	first := is(60, addresses[0])
	for name, c := range map[string]struct {
		cluster string
		steps   []step
		silent  bool
	}{
		"strict: addresses come and go":              {cluster: strict + fast, steps: []step{{is(60, addresses[0], addresses[1]), 0}, {is(60, addresses[1], addresses[2]), time.Second}, {is(60, addresses[0]), time.Second}}},
		"strict: no addresses any more":              {cluster: strict + fast, steps: []step{{first, 0}, {is(60), time.Second}, {first, time.Second}}},
		"strict: no such name any more":              {cluster: strict + fast, steps: []step{{first, 0}, {nil, time.Second}, {first, time.Second}}},
		"strict: the server fails":                   {cluster: strict + fast, steps: []step{{first, 0}, {failing, time.Second}, {is(60, addresses[1]), time.Second}}},
		"strict: no such name at first":              {cluster: strict + fast, steps: []step{{nil, 0}, {first, time.Second}}},
		"strict: the server fails at first":          {cluster: strict + v4 + ", dns_refresh_rate: 100s, dns_failure_refresh_rate: {base_interval: 0.2s, max_interval: 0.3s}", steps: []step{{failing, 0}, {first, time.Second}}},
		"strict: failures do not matter for long":    {cluster: strict + v4 + ", dns_refresh_rate: 0.2s, dns_failure_refresh_rate: {base_interval: 100s, max_interval: 100s}", steps: []step{{first, 0}, {failing, time.Second}, {is(60, addresses[1]), time.Second}}},
		"strict: not asked again so soon":            {cluster: strict + v4 + ", dns_refresh_rate: 100s", steps: []step{{is(1, addresses[0]), 0}, {is(1, addresses[1]), 1500 * time.Millisecond}}},
		"strict: times to live":                      {cluster: strict + v4 + ", dns_refresh_rate: 100s, respect_dns_ttl: true", steps: []step{{is(1, addresses[0]), 0}, {is(100, addresses[1]), 1800 * time.Millisecond}, {first, 1500 * time.Millisecond}}},
		"strict: a time to live of nothing":          {cluster: strict + v4 + ", dns_refresh_rate: 0.3s, respect_dns_ttl: true", steps: []step{{is(0, addresses[0]), 0}, {is(0, addresses[1]), time.Second}}},
		"strict: an alias's time to live":            {cluster: strict + v4 + ", dns_refresh_rate: 100s, respect_dns_ttl: true", steps: []step{{map[string]zoneEntry{"a.example": {addresses: addresses[:1], ttl: 100, alias: 1}}, 0}, {is(100, addresses[1]), 1800 * time.Millisecond}}},
		"strict: over TCP":                           {cluster: strict + fast + ", use_tcp_for_dns_lookups: true", steps: []step{{first, 0}}},
		"strict: AUTO":                               {cluster: strict, steps: []step{{is(60, addresses[0], addresses[3]), 0}}},
		"strict: AUTO, IPv4 alone":                   {cluster: strict, steps: []step{{first, 0}}},
		"strict: V6_ONLY":                            {cluster: strict + ", dns_lookup_family: V6_ONLY", steps: []step{{is(60, addresses[0], addresses[3]), 0}}},
		"strict: V6_ONLY, IPv4 alone":                {cluster: strict + ", dns_lookup_family: V6_ONLY", steps: []step{{first, 0}}},
		"strict: V4_ONLY":                            {cluster: strict + v4, steps: []step{{is(60, addresses[0], addresses[3]), 0}}},
		"strict: V4_PREFERRED":                       {cluster: strict + ", dns_lookup_family: V4_PREFERRED", steps: []step{{is(60, addresses[0], addresses[3]), 0}}},
		"strict: V4_PREFERRED, IPv6 alone":           {cluster: strict + ", dns_lookup_family: V4_PREFERRED", steps: []step{{is(60, addresses[3]), 0}}},
		"strict: ALL":                                {cluster: strict + ", dns_lookup_family: ALL", steps: []step{{is(60, addresses[0], addresses[3]), 0}}},
		"logical: the first address, then another":   {cluster: logical + fast, steps: []step{{is(60, addresses[0], addresses[1]), 0}, {is(60, addresses[2]), time.Second}, {is(60), time.Second}, {nil, time.Second}, {failing, time.Second}}},
		"logical: no such name at first":             {cluster: logical + fast, steps: []step{{nil, 0}, {first, time.Second}}},
		"logical: the server fails at first":         {cluster: logical + v4 + ", dns_refresh_rate: 100s, dns_failure_refresh_rate: {base_interval: 0.2s, max_interval: 0.3s}", steps: []step{{failing, 0}, {first, time.Second}}},
		"logical: times to live":                     {cluster: logical + v4 + ", dns_refresh_rate: 100s, respect_dns_ttl: true", steps: []step{{is(1, addresses[0]), 0}, {is(100, addresses[1]), 1800 * time.Millisecond}}},
		"logical: the first address is dead":         {cluster: logical + v4, steps: []step{{is(60, "127.0.0.9", addresses[0]), 0}}},
		"extension: all addresses":                   {cluster: ext + "}}, dns_lookup_family: V4_ONLY, dns_refresh_rate: 0.2s}}", steps: []step{{is(60, addresses[0], addresses[1]), 0}, {is(60, addresses[2]), time.Second}}},
		"extension: one host":                        {cluster: ext + "}}, dns_lookup_family: V4_ONLY, all_addresses_in_single_endpoint: true, dns_refresh_rate: 0.2s}}", steps: []step{{is(60, addresses[0], addresses[1]), 0}, {is(60, addresses[2]), time.Second}}},
		"extension: times to live":                   {cluster: ext + "}}, dns_lookup_family: V4_ONLY, respect_dns_ttl: true, dns_refresh_rate: 100s}}", steps: []step{{is(1, addresses[0]), 0}, {is(100, addresses[1]), 1800 * time.Millisecond}}},
		"extension: times to live are bounded":       {cluster: ext + "}}, dns_lookup_family: V4_ONLY, respect_dns_ttl: true, dns_min_refresh_rate: 50s, dns_refresh_rate: 100s}}", steps: []step{{is(1, addresses[0]), 0}, {is(100, addresses[1]), 1800 * time.Millisecond}}},
		"extension: UNSPECIFIED, over TCP":           {cluster: ext + ", dns_resolver_options: {use_tcp_for_dns_lookups: true, no_default_search_domain: true}}}, dns_refresh_rate: 100s}}", steps: []step{{is(60, addresses[0], addresses[3]), 0}}},
		"extension: V6_ONLY":                         {cluster: ext + "}}, dns_lookup_family: V6_ONLY}}", steps: []step{{is(60, addresses[0], addresses[3]), 0}}},
		"extension: ALL":                             {cluster: ext + "}}, dns_lookup_family: ALL}}", steps: []step{{is(60, addresses[0], addresses[3]), 0}}},
		"a silent server, one try of a second":       {cluster: ext + ", query_timeout_seconds: 1, query_tries: 1}}, dns_lookup_family: V4_ONLY, dns_refresh_rate: 100s}}", steps: []step{{first, 0}}, silent: true},
		"a silent server, which is not waited for":   {cluster: strict + v4 + ", wait_for_warm_on_init: false", steps: []step{{first, 0}}, silent: true},
		"dns_resolution_config":                      {cluster: strings.Replace(strict, "dns_resolvers: [{socket_address: {address: 127.0.0.1, port_value: ASK}}]", "dns_resolution_config: {resolvers: [{socket_address: {address: 127.0.0.1, port_value: ASK}}], dns_resolver_options: {use_tcp_for_dns_lookups: true, no_default_search_domain: true}}", 1) + v4, steps: []step{{first, 0}}},
		"typed_dns_resolver_config":                  {cluster: bare + ", type: STRICT_DNS, dns_lookup_family: V4_ONLY, " + cares + "}}", steps: []step{{first, 0}}},
		"strict: a health check keeps what has gone": {cluster: strict + fast + ", health_checks: [{timeout: 1s, interval: 0.2s, healthy_threshold: 1, unhealthy_threshold: 1, http_health_check: {path: /}}]", steps: []step{{first, 300 * time.Millisecond}, {is(60, addresses[1]), 1500 * time.Millisecond}}},
		"strict: a health check does not keep it":    {cluster: strict + fast + ", ignore_health_on_host_removal: true, health_checks: [{timeout: 1s, interval: 0.2s, healthy_threshold: 1, unhealthy_threshold: 1, http_health_check: {path: /}}]", steps: []step{{first, 300 * time.Millisecond}, {is(60, addresses[1]), 1500 * time.Millisecond}}},
	} {
		t.Run(name, func(t *testing.T) {
			cluster := strings.NewReplacer("PORT", port, "ASK", fmt.Sprint(dnsPort)).Replace(c.cluster)
			names.silent = c.silent
			both(t, func(t *testing.T, p *proxy) any {
				names.set(c.steps[0].zone)
				if err := p.start(toJSON(t, fmt.Sprintf(named, p.admin, p.port, "{"+cluster+"}"))); err != nil {
					t.Fatal(err)
				}
				defer p.stop()
				var out []string
				for i, s := range c.steps {
					if i > 0 {
						names.set(s.zone)
					}
					time.Sleep(s.wait)
					out = append(out, reached(t, p, 6), names.questions())
					counts, err := p.statistics([]string{"cluster.c.membership_total", "cluster.c.membership_healthy", "cluster.c.max_host_weight"})
					if err != nil {
						t.Fatal(err)
					}
					out = append(out, fmt.Sprint(counts))
				}
				counts, err := p.statistics([]string{"cluster.c.membership_change", "cluster.c.upstream_cx_destroy_local", "cluster.c.update_attempt", "cluster.c.update_success", "cluster.c.update_failure", "cluster.c.update_empty", "cluster.c.update_no_rebuild", "dns.cares.resolve_total", "dns.cares.timeouts", "dns.cares.not_found", "dns.cares.get_addr_failure"})
				if err != nil {
					t.Fatal(err)
				}
				for _, name := range slices.Sorted(maps.Keys(counts)) {
					n := counts[name]
					if n != "0" && n != "" && n != "1" {
						n = "more" // how many is a matter of time
					}
					out = append(out, name+": "+n)
				}
				_, page, err := p.page("/clusters?filter=^c$")
				if err != nil {
					t.Fatal(err)
				}
				lines := slices.Collect(strings.Lines(page))
				slices.Sort(lines) // which family is answered first is a matter of time
				for _, line := range lines {
					if strings.Contains(line, "::hostname::") || strings.Contains(line, "health_flags") {
						out = append(out, strings.TrimSpace(line))
					}
				}
				return out
			})
		})
	}
}
