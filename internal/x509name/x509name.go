package x509name

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
)

// short are the names of attribute types, OpenSSL's where RFC 4514 has none.
var short = map[string]string{
	"2.5.4.3": "CN", "2.5.4.4": "SN", "2.5.4.5": "serialNumber", "2.5.4.6": "C", "2.5.4.7": "L", "2.5.4.8": "ST", "2.5.4.9": "street",
	"2.5.4.10": "O", "2.5.4.11": "OU", "2.5.4.12": "title", "2.5.4.13": "description", "2.5.4.17": "postalCode", "2.5.4.41": "name", "2.5.4.42": "GN",
	"2.5.4.43": "initials", "2.5.4.44": "generationQualifier", "2.5.4.46": "dnQualifier", "2.5.4.65": "pseudonym",
	"0.9.2342.19200300.100.1.1": "UID", "0.9.2342.19200300.100.1.25": "DC", "1.2.840.113549.1.9.1": "emailAddress", "1.2.840.113549.1.9.2": "unstructuredName",
}

// String is a DER name in the form of RFC 2253, the last element first; "" if
// it is none.
func String(der []byte) string {
	var name pkix.RDNSequence
	if rest, err := asn1.Unmarshal(der, &name); err != nil || len(rest) > 0 {
		return ""
	}
	var elements []string
	for _, rdn := range slices.Backward(name) {
		var parts []string
		for _, a := range slices.Backward(rdn) {
			parts = append(parts, attribute(a))
		}
		elements = append(elements, strings.Join(parts, "+"))
	}
	return strings.Join(elements, ",")
}

func attribute(a pkix.AttributeTypeAndValue) string {
	oid := a.Type.String()
	value, isString := a.Value.(string)
	if name, ok := short[oid]; ok && isString {
		return name + "=" + escape(value)
	}
	der, err := asn1.Marshal(a.Value)
	if err != nil {
		return oid + "=" + escape(fmt.Sprint(a.Value))
	}
	return oid + "=#" + strings.ToUpper(hex.EncodeToString(der))
}

// escape writes a value by RFC 2253 section 2.4; bytes outside of ASCII are
// in hexadecimal.
func escape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case strings.IndexByte(`,+"\<>;`, c) >= 0, c == '#' && i == 0, c == ' ' && (i == 0 || i == len(s)-1):
			b.WriteByte('\\')
			b.WriteByte(c)
		case c < ' ' || c >= 0x7f:
			fmt.Fprintf(&b, `\%02X`, c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}
