package oauth2

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/upstream/async"
)

// tokenRequest is what the authorization server is asked.
type tokenRequest struct {
	grant string // form fields
	rest  string // further ones, behind the credentials
}

// codeRequest asks for tokens for the code of a callback, which the server
// has percent-encoded itself.
func codeRequest(code, redirectURI, verifier string) tokenRequest {
	return tokenRequest{"grant_type=authorization_code&code=" + code, "&redirect_uri=" + formEncode(redirectURI) + "&code_verifier=" + verifier}
}

// refreshRequest asks for new tokens for a refresh token.
func refreshRequest(token string) tokenRequest {
	return tokenRequest{"grant_type=refresh_token&refresh_token=" + formEncode(token), ""}
}

const assertionType = "&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer"

// body is the request's body with the client's credentials: its secret, or a
// signed assertion.
func (s *settings) body(r tokenRequest, credential string) string {
	id := "&client_id=" + formEncode(s.clientID)
	switch s.authType {
	case basicAuth:
		id = ""
	case urlEncodedBody:
		id += "&client_secret=" + formEncode(credential)
	case privateKeyJWT:
		id += assertionType + "&client_assertion=" + formEncode(credential)
	}
	return r.grant + id + r.rest
}

// send asks the authorization server; nil when its cluster does not exist.
func (s *settings) send(c async.Client, r tokenRequest, credential string, done func(*async.Response)) *async.Request {
	e := &s.token
	return c.Send(e.cluster, async.Options{Timeout: e.timeout, Retry: e.retry}, func(h *http.HeaderMap) {
		h.Add(http.Method, "POST")
		h.Add(http.Path, e.path)
		h.Add(http.Authority, e.host)
		h.Add(http.ContentType, "application/x-www-form-urlencoded")
		h.AddName("accept", "application/json")
		if s.authType == basicAuth {
			h.Add(http.Authorization, h.Own("Basic "+base64.StdEncoding.EncodeToString([]byte(s.clientID+":"+credential))))
		}
		if e.forwardedFor != "" {
			h.Add(http.XForwardedFor, e.forwardedFor)
		}
	}, []byte(s.body(r, credential)), done)
}

// failure is why a login fails. What it adds is for logs only.
type failure struct{ reason, more string }

func (f failure) details() string {
	if f.more == "" {
		return f.reason
	}
	return f.reason + ": " + f.more
}

// granted reads a token response (RFC 6749 section 5.1).
func (s *settings) granted(body []byte) (grant, failure) {
	var m struct {
		AccessToken  *string         `json:"access_token"`
		IDToken      string          `json:"id_token"`
		RefreshToken string          `json:"refresh_token"`
		ExpiresIn    json.RawMessage `json:"expires_in"`
	}
	text := "response body: " + string(body)
	if err := json.Unmarshal(body, &m); err != nil {
		return grant{}, failure{"Failed to parse oauth response body", text + ", exception: " + err.Error()}
	}
	if m.AccessToken == nil {
		return grant{}, failure{"No access token found in the token exchange response", text}
	}
	expires, err := lifetime(m.ExpiresIn, s.expiry)
	if err != nil {
		return grant{}, failure{"Failed to parse oauth response body", text + ", exception: " + err.Error()}
	}
	g := grant{tokens{*m.AccessToken, m.IDToken, m.RefreshToken}, expires}
	for _, token := range []string{g.access, g.id, g.refresh} {
		if !validValue(token) {
			return grant{}, failure{"Failed to parse oauth response body", "a token has characters that a header can't carry"}
		}
	}
	if expires <= 0 {
		return grant{}, failure{"No default or explicit access token expiration found in the token exchange response", text}
	}
	return g, failure{}
}

// maxLifetime bounds what a server may say, so that dates stay within bounds.
const maxLifetime = 100 * 365 * 24 * time.Hour

// lifetime reads expires_in: a number of seconds, which some servers send as
// a string.
func lifetime(raw json.RawMessage, missing time.Duration) (time.Duration, error) {
	text := string(raw)
	if text == "" || text == "null" {
		return missing, nil
	}
	if unquoted, err := strconv.Unquote(text); err == nil {
		text = unquoted
	}
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || n < 0 || n != float64(uint64(n)) {
		return 0, fmt.Errorf("expires_in is not a number of seconds: %s", raw)
	}
	if n > maxLifetime.Seconds() {
		return maxLifetime, nil
	}
	return time.Duration(n) * time.Second, nil
}
