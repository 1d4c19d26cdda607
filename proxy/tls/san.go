package tls

import (
	"crypto/x509"
	"encoding/asn1"
	"net"
	"strings"

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
	return otherNames(c, m.oid)
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

var oidSubjectAltName = asn1.ObjectIdentifier{2, 5, 29, 17}

// generalNames are the alternative names of all types, in their order (RFC
// 5280 section 4.2.1.6).
func generalNames(c *x509.Certificate) (out []asn1.RawValue) {
	for _, e := range c.Extensions {
		if e.Id.Equal(oidSubjectAltName) {
			if rest, err := asn1.Unmarshal(e.Value, &out); err != nil || len(rest) > 0 {
				return nil
			}
		}
	}
	return out
}

// The tags of general names.
const (
	tagOtherName = 0
	tagEmail     = 1
	tagDNS       = 2
	tagURI       = 6
	tagIP        = 7
)

// allNames are the alternative names, for messages.
func allNames(c *x509.Certificate) string {
	var out []string
	for _, n := range generalNames(c) {
		switch n.Tag {
		case tagEmail, tagDNS, tagURI:
			out = append(out, string(n.Bytes))
		case tagIP:
			out = append(out, net.IP(n.Bytes).String())
		}
	}
	return strings.Join(out, ", ")
}

// otherNames are the values of the otherName entries with the identifier oid,
// of those that are strings.
func otherNames(c *x509.Certificate, oid asn1.ObjectIdentifier) (out []string) {
	for _, n := range generalNames(c) {
		if n.Class != asn1.ClassContextSpecific || n.Tag != tagOtherName {
			continue
		}
		var id asn1.ObjectIdentifier
		var value, s asn1.RawValue
		rest, err := asn1.Unmarshal(n.Bytes, &id)
		if err != nil || !id.Equal(oid) {
			continue
		}
		if _, err := asn1.Unmarshal(rest, &value); err != nil {
			continue
		}
		if _, err := asn1.Unmarshal(value.Bytes, &s); err == nil && isString(s.Tag) {
			out = append(out, string(s.Bytes))
		}
	}
	return out
}

func isString(tag int) bool {
	switch tag {
	case asn1.TagUTF8String, asn1.TagPrintableString, asn1.TagIA5String, asn1.TagT61String, asn1.TagNumericString, asn1.TagOctetString:
		return true
	}
	return false
}
