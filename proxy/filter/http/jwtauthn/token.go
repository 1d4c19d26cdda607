package jwtauthn

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"math"
	"strings"
	"time"

	jose "github.com/go-jose/go-jose/v4"
)

// token is a JWT read, its signature not checked.
type token struct {
	text            string
	alg, kid        string
	iss, sub        string
	aud             []string
	iat, nbf, exp   int64 // UNIX seconds; 0: not given
	hasExp          bool
	header, payload map[string]any
	payload64       string // base64url, as it came
}

// algorithms are those that tokens may be signed with.
var algorithms = map[string]jose.SignatureAlgorithm{
	"ES256": jose.ES256, "ES384": jose.ES384, "ES512": jose.ES512,
	"HS256": jose.HS256, "HS384": jose.HS384, "HS512": jose.HS512,
	"RS256": jose.RS256, "RS384": jose.RS384, "RS512": jose.RS512,
	"PS256": jose.PS256, "PS384": jose.PS384, "PS512": jose.PS512, "EdDSA": jose.EdDSA,
}

// parse reads a token in compact form (RFC 7515 section 7.1).
func parse(text string) (*token, status) {
	parts := strings.FieldsFunc(text, func(r rune) bool { return r == '.' })
	if len(parts) != 3 {
		return nil, badFormat
	}
	t := &token{text: text, payload64: parts[1]}
	raw, err := base64.RawURLEncoding.DecodeString(parts[0])
	if err != nil {
		return nil, headerBase64
	}
	if t.header = object(raw); t.header == nil {
		return nil, headerJSON
	}
	if s := t.readHeader(); s != ok {
		return nil, s
	}
	if raw, err = base64.RawURLEncoding.DecodeString(parts[1]); err != nil {
		return nil, payloadBase64
	}
	if t.payload = object(raw); t.payload == nil {
		return nil, payloadJSON
	}
	if s := t.readPayload(); s != ok {
		return nil, s
	}
	if _, err = base64.RawURLEncoding.DecodeString(parts[2]); err != nil {
		return nil, signatureBase64
	}
	return t, ok
}

// object reads a JSON object; nil when it is none.
func object(raw []byte) (m map[string]any) {
	d := json.NewDecoder(bytes.NewReader(raw))
	if d.Decode(&m) != nil || d.More() {
		return nil
	}
	return m
}

func (t *token) readHeader() status {
	alg, isString := t.header["alg"].(string)
	if !isString {
		return headerAlg
	}
	if _, known := algorithms[alg]; !known {
		return headerAlgUnknown
	}
	t.alg = alg
	if kid, there := t.header["kid"]; there {
		if t.kid, isString = kid.(string); !isString {
			return headerKid
		}
	}
	return ok
}

func (t *token) readPayload() status {
	for _, c := range []struct {
		name string
		to   *string
		bad  status
	}{{"iss", &t.iss, payloadIss}, {"sub", &t.sub, payloadSub}, {"jti", new(string), payloadJti}} {
		if v, there := t.payload[c.name]; there {
			s, isString := v.(string)
			if !isString {
				return c.bad
			}
			*c.to = s
		}
	}
	for _, c := range []struct {
		name             string
		to               *int64
		bad, outOfBounds status
	}{{"iat", &t.iat, payloadIat, payloadIatRange}, {"nbf", &t.nbf, payloadNbf, payloadNbfRange}, {"exp", &t.exp, payloadExp, payloadExpRange}} {
		if v, there := t.payload[c.name]; there {
			n, isNumber := v.(float64)
			if !isNumber {
				return c.bad
			}
			if n < 0 || n > math.MaxInt64/2 {
				return c.outOfBounds
			}
			*c.to = int64(n)
		}
	}
	_, t.hasExp = t.payload["exp"]
	switch aud := t.payload["aud"].(type) {
	case nil:
	case string:
		t.aud = []string{aud}
	case []any:
		for _, a := range aud {
			s, isString := a.(string)
			if !isString {
				return payloadAud
			}
			t.aud = append(t.aud, s)
		}
	default:
		return payloadAud
	}
	return ok
}

// timely checks nbf and exp.
func (t *token) timely(now time.Time, skew time.Duration) status {
	if t.nbf > now.Add(skew).Unix() {
		return notYetValid
	}
	if t.hasExp && t.exp < now.Add(-skew).Unix() {
		return expired
	}
	return ok
}

// claim is a value in the payload, by the names on the way to it.
func (t *token) claim(path []string) (any, bool) {
	var v any = t.payload
	for _, name := range path {
		m, isObject := v.(map[string]any)
		if !isObject {
			return nil, false
		}
		if v, isObject = m[name]; !isObject {
			return nil, false
		}
	}
	return v, true
}
