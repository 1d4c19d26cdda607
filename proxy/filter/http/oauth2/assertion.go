package oauth2

import (
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/weirproxy/weir/proxy/secret"
)

// The values that a secret for assertions can have, instead of being the key.
const (
	privateKeyEntry = "private_key"
	keyIDEntry      = "key_id"
)

// assertion is how the client proves who it is with a private key (RFC 7523).
type assertion struct {
	algorithm jose.SignatureAlgorithm
	lifetime  time.Duration
	audience  string
}

// make signs an assertion. It takes a millisecond: it is not for loops.
func (a *assertion) make(clientID string, s *secret.Generic, now time.Time) (string, error) {
	text := s.Entry(privateKeyEntry)
	if text == "" {
		text = s.Value()
	}
	k, err := privateKey(text)
	if err != nil {
		return "", err
	}
	o := (&jose.SignerOptions{}).WithType("JWT")
	if id := s.Entry(keyIDEntry); id != "" {
		o.WithHeader("kid", id)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: a.algorithm, Key: k}, o)
	if err != nil {
		return "", fmt.Errorf("Failed to sign JWT assertion: %w", err) //lint:ignore ST1005 Envoy's words
	}
	return jwt.Signed(signer).Claims(map[string]any{
		"iss": clientID, "sub": clientID, "aud": a.audience, "exp": now.Add(a.lifetime).Unix(), "iat": now.Unix(), "nbf": now.Unix(), "jti": uuid(),
	}).Serialize()
}

// uuid is a random UUID (RFC 9562 section 5.4).
func uuid() string {
	var b [16]byte
	rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

//lint:ignore ST1005 Envoy's words
var errPrivateKey = errors.New("Failed to parse private key PEM for JWT signing")

// privateKey reads a key in PEM, of any of the usual forms.
func privateKey(text string) (any, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil, errPrivateKey
	}
	if k, err := x509.ParsePKCS8PrivateKey(block.Bytes); err == nil {
		return k, nil
	}
	if k, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return k, nil
	}
	if k, err := x509.ParseECPrivateKey(block.Bytes); err == nil {
		return k, nil
	}
	return nil, errPrivateKey
}
