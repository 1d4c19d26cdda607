package oauth2

import (
	"encoding/base64"

	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/oauth"
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
	return tokenRequest{"grant_type=authorization_code&code=" + code, "&redirect_uri=" + oauth.FormEncode(redirectURI) + "&code_verifier=" + verifier}
}

// refreshRequest asks for new tokens for a refresh token.
func refreshRequest(token string) tokenRequest {
	return tokenRequest{"grant_type=refresh_token&refresh_token=" + oauth.FormEncode(token), ""}
}

const assertionType = "&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer"

// body is the request's body with the client's credentials: its secret, or a
// signed assertion.
func (s *settings) body(r tokenRequest, credential string) string {
	id := "&client_id=" + oauth.FormEncode(s.clientID)
	switch s.authType {
	case basicAuth:
		id = ""
	case urlEncodedBody:
		id += "&client_secret=" + oauth.FormEncode(credential)
	case privateKeyJWT:
		id += assertionType + "&client_assertion=" + oauth.FormEncode(credential)
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

// granted reads a token response.
func (s *settings) granted(body []byte) (grant, failure) {
	text := "response body: " + string(body)
	r, err := oauth.ParseResponse(body)
	if err != nil {
		return grant{}, failure{"Failed to parse oauth response body", text + ", exception: " + err.Error()}
	}
	if !r.HasAccessToken {
		return grant{}, failure{"No access token found in the token exchange response", text}
	}
	if !r.HasExpiresIn {
		r.ExpiresIn = s.expiry
	}
	if r.ExpiresIn <= 0 {
		return grant{}, failure{"No default or explicit access token expiration found in the token exchange response", text}
	}
	return grant{tokens{r.AccessToken, r.IDToken, r.RefreshToken}, r.ExpiresIn}, failure{}
}
