package oauth2

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strings"

	"github.com/weirproxy/weir/proxy/http"
)

// state is what a login takes along to the authorization server and back.
type state struct {
	URL   string `json:"url"` // where the user wanted to go
	Token string `json:"csrf_token"`
	Flow  string `json:"flow_id"`
}

func (s state) encode() string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		panic(err) // it has strings only
	}
	return base64.RawURLEncoding.EncodeToString(bytes.TrimSuffix(b.Bytes(), []byte("\n")))
}

// callback is a user's return from the authorization server. problem tells
// why it is not believed; flow is known even so when the state is genuine.
type callback struct{ url, code, flow, problem string }

// readCallback reads and checks a callback's query (RFC 6749 section 4.1.2).
func (s *settings) readCallback(path string, j jar) callback {
	_, params := http.SplitQuery(path)
	query := func(name string) (string, bool) {
		for _, p := range params {
			if p.Key == name {
				return p.Value, true
			}
		}
		return "", false
	}
	rawState, hasState := query("state")
	if _, failed := query("error"); failed {
		c := callback{problem: "OAuth server returned an error: " + http.JoinQuery("", params)}
		if hasState {
			c.flow = s.readState(rawState, j).flow
		}
		return c
	}
	code, hasCode := query("code")
	if !hasCode || !hasState {
		return callback{problem: "Code or state query param does not exist: " + http.JoinQuery("", params)}
	}
	c := s.readState(rawState, j)
	c.code = code
	return c
}

// readState reads a state and checks that it is this user's own: an attacker
// must not log a victim in (RFC 6819 section 5.3.5).
func (s *settings) readState(raw string, j jar) callback {
	text, _ := base64.RawURLEncoding.DecodeString(strings.TrimRight(raw, "="))
	var m map[string]any
	if err := json.Unmarshal(text, &m); err != nil {
		return callback{problem: "State query param is not a valid JSON: " + string(text)}
	}
	url, hasURL := m["url"]
	token, hasToken := m["csrf_token"]
	if !hasURL || !hasToken {
		return callback{problem: "State query param does not contain url or CSRF token: " + string(text)}
	}
	x := state{}
	x.URL, _ = url.(string)
	x.Token, _ = token.(string)
	x.Flow, _ = m["flow_id"].(string)
	if cookie := s.flowCookie(j, nonceCookie, x.Flow); cookie == "" || !same(cookie, x.Token) || !ownToken(s.hmacSecret.Value(), x.Token) {
		return callback{problem: "CSRF token validation failed"}
	}
	if _, ok := parseURL(x.URL); !ok {
		return callback{flow: x.Flow, problem: "State url can not be initialized: " + x.URL}
	}
	if !s.mayRedirect(x.URL) {
		return callback{flow: x.Flow, problem: "State url host is not in the allowed redirect domains: " + x.URL}
	}
	return callback{url: x.URL, flow: x.Flow}
}
