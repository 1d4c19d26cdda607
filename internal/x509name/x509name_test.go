package x509name

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"testing"
)

func TestString(t *testing.T) {
	oid := func(n ...int) asn1.ObjectIdentifier { return n }
	for _, tt := range []struct {
		name pkix.RDNSequence
		want string
	}{
		{nil, ""},
		{pkix.Name{CommonName: "a", Organization: []string{"Acme, Inc."}, Country: []string{"NL"}}.ToRDNSequence(), `CN=a,O=Acme\, Inc.,C=NL`},
		{pkix.RDNSequence{{{Type: oid(0, 9, 2342, 19200300, 100, 1, 25), Value: "example"}}, {{Type: oid(1, 2, 840, 113549, 1, 9, 1), Value: "a@b"}}}, "emailAddress=a@b,DC=example"},
		{pkix.RDNSequence{{{Type: oid(2, 5, 4, 3), Value: "#é <x> "}}}, `CN=\#\C3\A9 \<x\>\ `},
		{pkix.RDNSequence{{{Type: oid(1, 2, 3, 4), Value: "x"}}}, "1.2.3.4=#130178"},
	} {
		der, err := asn1.Marshal(tt.name)
		if err != nil {
			t.Fatal(err)
		}
		if got := String(der); got != tt.want {
			t.Errorf("got %s, want %s", got, tt.want)
		}
	}
	if got := String([]byte("rubbish")); got != "" {
		t.Errorf("rubbish is %q", got)
	}
}

func FuzzString(f *testing.F) {
	f.Add([]byte("0\x0c1\x0a0\x08\x06\x03U\x04\x03\x0c\x01a"))
	f.Fuzz(func(t *testing.T, der []byte) { String(der) })
}
