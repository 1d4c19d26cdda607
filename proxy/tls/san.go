package tls

import (
	"crypto/x509"
	"encoding/asn1"
	"net"
	"strings"

	"github.com/weirproxy/weir/internal/x509name"
	"github.com/weirproxy/weir/proxy/matcher"
)

// sanKind is a type of alternative name.
type sanKind uint8

const (
	sanEmail sanKind = iota
	sanDNS
	sanURI
	sanIP
	sanOther
)

// sanMatcher matches the alternative names of one type.
type sanMatcher struct {
	kind  sanKind
	value matcher.String
	exact string // of a DNS name that is to match as a host name does
	oid   asn1.ObjectIdentifier
}

func (m *sanMatcher) match(c *x509.Certificate) bool {
	for _, name := range m.names(c) {
		if m.value.Match(name) || m.exact != "" && matchDNS(name, m.exact) {
			return true
		}
	}
	return false
}

// names are the certificate's names of the matcher's type.
func (m *sanMatcher) names(c *x509.Certificate) (out []string) {
	switch m.kind {
	case sanEmail:
		return c.EmailAddresses
	case sanDNS:
		return c.DNSNames
	case sanURI:
		return uriSANs(c)
	case sanIP:
		for _, ip := range c.IPAddresses {
			out = append(out, ip.String())
		}
		return out
	}
	return x509name.OtherNames(c, m.oid)
}

// matchDNS tells whether a certificate's DNS name, which may have a wildcard
// as its first label, is for host.
func matchDNS(pattern, host string) bool {
	pattern, host = strings.ToLower(pattern), strings.ToLower(host)
	if pattern == host {
		return true
	}
	rest, wild := strings.CutPrefix(pattern, "*.")
	if !wild {
		return false
	}
	_, parent, ok := strings.Cut(host, ".")
	return ok && parent == rest
}

// hasName tells whether one of the certificate's alternative names is name: a
// host name, an address or a URI.
func hasName(c *x509.Certificate, name string) bool {
	for _, d := range c.DNSNames {
		if matchDNS(d, name) {
			return true
		}
	}
	for _, u := range uriSANs(c) {
		if u == name {
			return true
		}
	}
	ip := net.ParseIP(name)
	for _, a := range c.IPAddresses {
		if ip != nil && a.Equal(ip) {
			return true
		}
	}
	return false
}

// allNames are the alternative names, for messages.
func allNames(c *x509.Certificate) string {
	var out []string
	for _, n := range x509name.GeneralNames(c) {
		switch n.Tag {
		case x509name.TagEmail, x509name.TagDNS, x509name.TagURI:
			out = append(out, string(n.Bytes))
		case x509name.TagIP:
			out = append(out, net.IP(n.Bytes).String())
		}
	}
	return strings.Join(out, ", ")
}
