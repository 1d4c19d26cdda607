package oauth

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"time"
)

// Response is a token response (RFC 6749 section 5.1, OpenID Connect Core
// section 3.1.3.3).
type Response struct {
	AccessToken    string
	HasAccessToken bool
	IDToken        string
	RefreshToken   string
	ExpiresIn      time.Duration
	HasExpiresIn   bool
}

// ParseResponse reads a token response. Fields may be missing.
func ParseResponse(body []byte) (r Response, err error) {
	var m struct {
		AccessToken  *string         `json:"access_token"`
		IDToken      string          `json:"id_token"`
		RefreshToken string          `json:"refresh_token"`
		ExpiresIn    json.RawMessage `json:"expires_in"`
	}
	if err := json.Unmarshal(body, &m); err != nil {
		return r, err
	}
	r.IDToken, r.RefreshToken = m.IDToken, m.RefreshToken
	if m.AccessToken != nil {
		r.AccessToken, r.HasAccessToken = *m.AccessToken, true
	}
	r.ExpiresIn, r.HasExpiresIn, err = lifetime(m.ExpiresIn)
	for _, token := range []string{r.AccessToken, r.IDToken, r.RefreshToken} {
		if !ValidValue(token) {
			return r, fmt.Errorf("a token has characters that a header can't carry")
		}
	}
	return r, err
}

// maxLifetime bounds what a server may say, so that dates stay within bounds.
const maxLifetime = 100 * 365 * 24 * time.Hour

// lifetime reads expires_in: a number of seconds, which some servers send as
// a string.
func lifetime(raw json.RawMessage) (d time.Duration, found bool, err error) {
	text := string(raw)
	if text == "" || text == "null" {
		return 0, false, nil
	}
	if unquoted, err := strconv.Unquote(text); err == nil {
		text = unquoted
	}
	n, err := strconv.ParseFloat(text, 64)
	switch {
	case err == nil && n > maxLifetime.Seconds():
		return maxLifetime, true, nil
	case err != nil || n < 0 || n != math.Trunc(n):
		return 0, false, fmt.Errorf("expires_in is not a number of seconds: %s", raw)
	}
	return time.Duration(n) * time.Second, true, nil
}

// ValidValue tells whether a header can carry a value (RFC 9110 section 5.5).
func ValidValue(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}
