package oauth2

import (
	"encoding/base64"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/weirproxy/weir/proxy/oauth"
)

// tokens are what the authorization server has given for a user.
type tokens struct{ access, id, refresh string }

// session is what the request's cookies say.
type session struct {
	tokens
	expires string // seconds since 1970
	mac     string
}

func (s *settings) session(j jar) session {
	value := func(k cookieKind) string { return j.get(s.cookies[k].name) }
	return session{tokens{value(bearerCookie), value(idCookie), value(refreshCookie)}, value(expiresCookie), value(hmacCookie)}
}

// signed is what the HMAC is over.
func (s *settings) signed(host, expires string, t tokens) string {
	if s.cookieDomain != "" {
		host = s.cookieDomain
	}
	return strings.Join([]string{host, expires, t.access, t.id, t.refresh}, "\n")
}

// valid tells whether a session is of this proxy's making and has not ended.
func (s *settings) valid(x session, host string, now time.Time) bool {
	if !sameMAC(x.mac, s.hmacSecret.Value(), s.signed(host, x.expires, x.tokens)) {
		return false
	}
	end, err := strconv.ParseUint(strings.TrimSpace(x.expires), 10, 64)
	return err == nil && end > uint64(now.Unix())
}

// decrypt replaces encrypted tokens by what they are, and tells whether there
// were any. One that can't be decrypted stays: it may be from before there was
// encryption, and the HMAC decides.
func (s *settings) decrypt(j *jar, st *Stats) (changed bool) {
	if s.plain {
		return false
	}
	for _, k := range tokenCookies {
		sealed := j.get(s.cookies[k].name)
		if sealed == "" {
			continue
		}
		changed = true
		// With another secret the old encryption may seem to succeed.
		if text, err := s.open(sealed, st); err == nil && oauth.ValidValue(text) {
			j.set(s.cookies[k].name, text)
		}
	}
	return changed
}

// grant is the authorization server's answer as the filter keeps it.
type grant struct {
	tokens
	expires time.Duration // of the access token
}

// kept is a grant without the tokens that are not to be in cookies.
func (s *settings) kept(g grant) grant {
	if s.noCookie[bearerCookie] {
		g.access = ""
	}
	if s.noCookie[idCookie] {
		g.id = ""
	}
	if s.noCookie[refreshCookie] || !s.useRefresh {
		g.refresh = ""
	}
	return g
}

// sessionCookies are the set-cookies of a new session; ok is false when a
// token does not fit. all has the tokens that are not kept, too.
func (s *settings) sessionCookies(arrived jar, host string, kept, all grant, now time.Time, st *Stats) (out []string, ok bool) {
	age := seconds(kept.expires)
	expires := strconv.FormatInt(now.Add(kept.expires).Unix(), 10)
	out = []string{
		s.cookies[hmacCookie].name + "=" + mac64(s.hmacSecret.Value(), s.signed(host, expires, kept.tokens)) + s.attributes(hmacCookie, age),
		s.cookies[expiresCookie].name + "=" + expires + s.attributes(expiresCookie, age),
	}
	chunked := uint64(0)
	for _, t := range []struct {
		k     cookieKind
		value string
		age   time.Duration
	}{
		{bearerCookie, kept.access, kept.expires},
		{idCookie, kept.id, s.idAge(all, now)},
		{refreshCookie, kept.refresh, s.refreshAge(all, now)},
	} {
		if t.value != "" && !s.plain {
			t.value = s.seal(t.value)
		}
		lines, split, ok := s.tokenCookie(arrived, t.k, t.value, seconds(t.age))
		if !ok {
			st.CookieOversized.Inc()
			return nil, false
		}
		if split {
			chunked++
		}
		out = append(out, lines...)
	}
	st.CookieChunked.Add(chunked)
	return out, true
}

func seconds(d time.Duration) string { return strconv.FormatInt(int64(d/time.Second), 10) }

// idAge is how long an ID token is kept: as long as it says itself.
func (s *settings) idAge(g grant, now time.Time) time.Duration {
	if age, ok := jwtAge(g.id, now); ok && !s.idExpiresLikeAccess {
		return age
	}
	return g.expires
}

// refreshAge is how long a refresh token is kept.
func (s *settings) refreshAge(g grant, now time.Time) time.Duration {
	if !s.useRefresh {
		return g.expires
	}
	if age, ok := jwtAge(g.refresh, now); ok {
		return age
	}
	return s.refreshExpiry
}

// jwtAge is how long a token is valid yet, if it is a JSON Web Token that says
// it. It is not verified: it comes from the authorization server itself.
func jwtAge(token string, now time.Time) (time.Duration, bool) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return 0, false
	}
	var head struct {
		Algorithm string `json:"alg"`
	}
	var claims struct {
		Expires int64 `json:"exp"`
	}
	for i, into := range []any{&head, &claims} {
		raw, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil || json.Unmarshal(raw, into) != nil {
			return 0, false
		}
	}
	if head.Algorithm == "" || claims.Expires == 0 {
		return 0, false
	}
	return max(time.Duration(claims.Expires-now.Unix())*time.Second, 0), true
}
