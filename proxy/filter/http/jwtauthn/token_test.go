package jwtauthn

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"strings"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"
)

// Signer signs tokens with a key whose public half is in its key set.
type Signer struct {
	key *ecdsa.PrivateKey
	Set string
}

func NewSigner(t testing.TB) *Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: &key.PublicKey, KeyID: "k", Algorithm: "ES256"}}})
	if err != nil {
		t.Fatal(err)
	}
	return &Signer{key, string(set)}
}

func (s *Signer) Token(t testing.TB, claims string) string {
	t.Helper()
	x, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: s.key, KeyID: "k"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	o, err := x.Sign([]byte(claims))
	if err != nil {
		t.Fatal(err)
	}
	text, err := o.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// FuzzToken: no text makes the parser fail, and what it takes for a token has
// a signature that no key of ours made.
func FuzzToken(f *testing.F) {
	s := NewSigner(f)
	keys, err := parseKeys([]byte(s.Set))
	if err != nil {
		f.Fatal(err)
	}
	good := s.Token(f, `{"iss":"me","aud":["a"],"exp":4102444800,"nbf":1,"deep":{"x":[1,true,null]}}`)
	for _, seed := range []string{good, "", "..", "a.b.c", "eyJhbGciOiJub25lIn0.e30.", "eyJhbGciOiJFUzI1NiJ9.e30.AAAA", strings.ToUpper(good)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		x, st := parse(text)
		if (x == nil) == (st == ok) {
			t.Fatalf("%q: a token %v with status %q", text, x != nil, st)
		}
		if x == nil {
			return
		}
		x.claim([]string{"deep", "x"})
		(&provider{skew: time.Minute}).accepts(x, []string{"a"}, time.Unix(1e9, 0))
		signed, _, _ := strings.Cut(good, ".")
		if keys.verify(x) == ok && !strings.HasPrefix(text, signed) {
			t.Fatalf("%q passes", text)
		}
	})
}

// FuzzKeys: no text makes the key parser fail.
func FuzzKeys(f *testing.F) {
	f.Add([]byte(NewSigner(f).Set))
	f.Add([]byte(`{"keys":[{"kty":"oct","k":""},{"kty":"RSA","n":"","e":""},{"kty":"EC","crv":"P-256","x":"AA","y":"AA"},5,null]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if s, err := parseKeys(raw); err == nil && len(s.keys) == 0 {
			t.Fatal("a set without keys")
		}
	})
}
