package tls

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"strings"
	"testing"

	"github.com/weirproxy/weir/internal/x509name"
)

// withSAN is a certificate whose alternative names are der.
func withSAN(der []byte) *x509.Certificate {
	return &x509.Certificate{Extensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Value: der}}}
}

func TestOtherNames(t *testing.T) {
	upn := asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 20, 2, 3}
	value, err := asn1.MarshalWithParams("user@a.example", "utf8,explicit,tag:0")
	if err != nil {
		t.Fatal(err)
	}
	id, _ := asn1.Marshal(upn)
	der, err := asn1.Marshal([]asn1.RawValue{
		{Class: asn1.ClassContextSpecific, Tag: x509name.TagDNS, Bytes: []byte("a.example")},
		{Class: asn1.ClassContextSpecific, Tag: x509name.TagOtherName, IsCompound: true, Bytes: append(id, value...)},
	})
	if err != nil {
		t.Fatal(err)
	}
	c := withSAN(der)
	if got := x509name.OtherNames(c, upn); len(got) != 1 || got[0] != "user@a.example" {
		t.Errorf("otherNames: %q", got)
	}
	if got := x509name.OtherNames(c, asn1.ObjectIdentifier{1, 2, 3}); got != nil {
		t.Errorf("of another type: %q", got)
	}
	if got := allNames(c); got != "a.example" {
		t.Errorf("allNames: %q", got)
	}
}

func FuzzAlternativeNames(f *testing.F) {
	f.Add([]byte("0\x0b\x82\x09a.example"))
	f.Add([]byte("0\x15\xa0\x13\x06\x03*\x03\x04\xa0\x0c\x0c\x0auser@a.exa"))
	f.Fuzz(func(t *testing.T, der []byte) {
		c := withSAN(der)
		allNames(c)
		x509name.OtherNames(c, asn1.ObjectIdentifier{1, 2, 3, 4})
	})
}

func FuzzTrust(f *testing.F) {
	f.Add([]byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"))
	f.Add([]byte(`{"trust_domains": {"td": {"keys": [{"use": "x509-svid", "x5c": ["AAAA"]}]}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		certs, _, err := parseTrust(data)
		if err == nil && len(certs) > 0 && !strings.Contains(string(data), "CERTIFICATE") {
			t.Error("certificates came from nothing")
		}
		parseBundles(data)
	})
}

func TestMatchDNS(t *testing.T) {
	for _, tt := range []struct {
		pattern, host string
		want          bool
	}{
		{"a.example", "a.example", true}, {"A.example", "a.EXAMPLE", true}, {"*.a.example", "x.a.example", true},
		{"*.a.example", "x.y.a.example", false}, {"*.a.example", "a.example", false}, {"x*.a.example", "xy.a.example", false}, {"*", "a", false},
	} {
		if got := matchDNS(tt.pattern, tt.host); got != tt.want {
			t.Errorf("%s for %s: %v", tt.pattern, tt.host, got)
		}
	}
}
