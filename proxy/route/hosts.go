package route

import (
	"fmt"
	"slices"
	"strings"

	"github.com/weirproxy/weir/proxy/matcher"
)

// hostTable finds a virtual host by the request's host.
type hostTable struct {
	exact    map[string]*VirtualHost
	suffixes []wildcards // "*.example.com", longest first
	prefixes []wildcards // "www.example.*", longest first
	any      *VirtualHost
}

// wildcards are those of one length, without their "*".
type wildcards struct {
	length int
	hosts  map[string]*VirtualHost
}

// add enters v under a domain.
func (t *hostTable) add(domain string, v *VirtualHost) error {
	domain = matcher.LowerASCII(domain)
	var taken bool
	switch {
	case domain == "*":
		if t.any != nil {
			return fmt.Errorf("only one virtual host may have the domain %q; %q has it already", domain, t.any.name)
		}
		t.any = v
	case strings.HasPrefix(domain, "*"):
		taken = addWildcard(&t.suffixes, domain[1:], v)
	case strings.HasSuffix(domain, "*"):
		taken = addWildcard(&t.prefixes, domain[:len(domain)-1], v)
	default:
		if t.exact == nil {
			t.exact = make(map[string]*VirtualHost)
		}
		_, taken = t.exact[domain]
		t.exact[domain] = v
	}
	if taken {
		return fmt.Errorf("domain %q appears twice; domains must be unique within a route configuration", domain)
	}
	return nil
}

func addWildcard(ws *[]wildcards, rest string, v *VirtualHost) (taken bool) {
	i, found := slices.BinarySearchFunc(*ws, len(rest), func(w wildcards, n int) int { return n - w.length })
	if !found {
		*ws = slices.Insert(*ws, i, wildcards{length: len(rest), hosts: make(map[string]*VirtualHost)})
	}
	hosts := (*ws)[i].hosts
	_, taken = hosts[rest]
	hosts[rest] = v
	return taken
}

// find is the virtual host for a lower-case host: exact, then by longest
// suffix wildcard, longest prefix wildcard, "*"; nil when none fits. A
// wildcard stands for at least one byte.
func (t *hostTable) find(host string) *VirtualHost {
	if v := t.exact[host]; v != nil {
		return v
	}
	for _, w := range t.suffixes {
		if w.length < len(host) {
			if v := w.hosts[host[len(host)-w.length:]]; v != nil {
				return v
			}
		}
	}
	for _, w := range t.prefixes {
		if w.length < len(host) {
			if v := w.hosts[host[:w.length]]; v != nil {
				return v
			}
		}
	}
	return t.any
}

// onlyAny tells whether every host takes the default virtual host.
func (t *hostTable) onlyAny() bool {
	return t.exact == nil && t.suffixes == nil && t.prefixes == nil
}

// withoutPort is host without a trailing ":port".
func withoutPort(host string) string {
	i := portStart(host)
	if i < 0 {
		return host
	}
	return host[:i]
}

// portStart is where the ":port" of host begins, -1 when there is none. As in
// Envoy, whatever is behind the last colon outside of brackets is a port.
func portStart(host string) int {
	i := strings.LastIndexByte(host, ':')
	if i < strings.LastIndexByte(host, ']') {
		return -1
	}
	return i
}
