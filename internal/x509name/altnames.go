package x509name

import (
	"crypto/x509"
	"encoding/asn1"
)

var oidSubjectAltName = asn1.ObjectIdentifier{2, 5, 29, 17}

// GeneralNames are the alternative names of all types, in their order (RFC
// 5280 section 4.2.1.6).
func GeneralNames(c *x509.Certificate) (out []asn1.RawValue) {
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
	TagOtherName = 0
	TagEmail     = 1
	TagDNS       = 2
	TagURI       = 6
	TagIP        = 7
)

// OtherNames are the values of the otherName entries with the identifier oid,
// or with any when that is nil, of those that are strings.
func OtherNames(c *x509.Certificate, oid asn1.ObjectIdentifier) (out []string) {
	for _, n := range GeneralNames(c) {
		if n.Class != asn1.ClassContextSpecific || n.Tag != TagOtherName {
			continue
		}
		var id asn1.ObjectIdentifier
		var value, s asn1.RawValue
		rest, err := asn1.Unmarshal(n.Bytes, &id)
		if err != nil || oid != nil && !id.Equal(oid) {
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
