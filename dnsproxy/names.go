package dnsproxy

import (
	"net/netip"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// Names are what the proxy itself knows: names with addresses, and the hosts
// of the mesh, which may have none. It is filled once and not changed when a
// [Server] has it.
type Names struct {
	given  map[string]given
	hosts  map[string]bool
	suffix map[string]bool // ".example.com" for the host *.example.com
}

type given struct {
	addrs []netip.Addr
	ttl   time.Duration
}

// NewNames knows nothing yet.
func NewNames() *Names {
	return &Names{given: map[string]given{}, hosts: map[string]bool{}, suffix: map[string]bool{}}
}

// Set gives a name its addresses: it is never asked for elsewhere. Without
// addresses it exists and has none.
func (n *Names) Set(name string, addrs []netip.Addr, ttl time.Duration) {
	n.given[dns.CanonicalName(name)] = given{addrs, ttl}
}

// AddHost adds a domain of a virtual host: NAME, NAME:PORT or *.NAME. Others
// (*, NAME.*, addresses) name no host.
func (n *Names) AddHost(domain string) {
	if host, portText, ok := strings.Cut(domain, ":"); ok && !strings.Contains(portText, ":") {
		domain = host
	}
	if _, err := netip.ParseAddr(strings.Trim(domain, "[]")); err == nil {
		return
	}
	name := strings.TrimPrefix(domain, "*.")
	if _, valid := dns.IsDomainName(name); !valid || name == "" || strings.ContainsAny(name, "*:[]") {
		return
	}
	if name = dns.CanonicalName(name); name != dns.CanonicalName(domain) {
		n.suffix["."+name] = true
		return
	}
	n.hosts[name] = true
}

// isHost reports whether a name, lower case and with its final dot, is a host
// of the mesh.
func (n *Names) isHost(name string) bool {
	if n.hosts[name] {
		return true
	}
	for i := range len(name) - 1 {
		if i > 0 && name[i] == '.' && n.suffix[name[i:]] {
			return true
		}
	}
	return false
}
