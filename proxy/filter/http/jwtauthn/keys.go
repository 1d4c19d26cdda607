package jwtauthn

import (
	"encoding/json"
	"errors"

	jose "github.com/go-jose/go-jose/v4"
)

// keySet is a JSON Web Key Set (RFC 7517), immutable.
type keySet struct{ keys []jose.JSONWebKey }

const (
	// maxKeys bounds the keys of a set, and maxChecks the signatures checked
	// for one token.
	maxKeys   = 256
	maxChecks = 8
)

//lint:ignore ST1005 Envoy's words
var errNoKeys = errors.New(string(noKeys))

// parseKeys reads a key set. Keys that can't be used are left out; it is an
// error if none can.
func parseKeys(raw []byte) (*keySet, error) {
	var list struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, err
	}
	s := &keySet{}
	for _, r := range list.Keys {
		var k jose.JSONWebKey
		if len(s.keys) == maxKeys {
			break
		}
		if k.UnmarshalJSON(r) != nil || k.Use == "enc" {
			continue
		}
		if secret, symmetric := k.Key.([]byte); symmetric {
			if len(secret) == 0 {
				continue
			}
		} else if k = k.Public(); !k.Valid() {
			continue
		}
		s.keys = append(s.keys, k)
	}
	if len(s.keys) == 0 {
		return nil, errNoKeys
	}
	return s, nil
}

// verify checks a token's signature by the keys that may have made it.
func (s *keySet) verify(t *token) status {
	alg := algorithms[t.alg]
	signed, err := jose.ParseSignedCompact(t.text, []jose.SignatureAlgorithm{alg})
	if err != nil {
		return verificationFails
	}
	tried := 0
	for i := range s.keys {
		k := &s.keys[i]
		if k.KeyID != "" && t.kid != "" && k.KeyID != t.kid || k.Algorithm != "" && k.Algorithm != t.alg {
			continue
		}
		if tried++; tried > maxChecks {
			break
		}
		if _, err := signed.Verify(k.Key); err == nil {
			return ok
		}
	}
	if tried == 0 {
		return noMatchingKey
	}
	return verificationFails
}
