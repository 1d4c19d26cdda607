package oauth2

import "strings"

// cookieKind is one of the filter's cookies.
type cookieKind uint8

const (
	bearerCookie cookieKind = iota
	idCookie
	refreshCookie
	hmacCookie
	expiresCookie
	nonceCookie
	verifierCookie
	cookieKinds
)

// tokenCookies are those that hold tokens.
var tokenCookies = [...]cookieKind{bearerCookie, idCookie, refreshCookie}

// cookieSettings are a cookie's name and attributes.
type cookieSettings struct {
	name, path  string
	sameSite    string // as an attribute: ";SameSite=Lax"
	partitioned bool
}

// name is a cookie's name; the cookies of a login have its flow appended.
func (s *settings) name(k cookieKind, flow string) string {
	if flow == "" {
		return s.cookies[k].name
	}
	return s.cookies[k].name + "." + flow
}

// attributes follow a cookie's value. age is Max-Age, in seconds.
func (s *settings) attributes(k cookieKind, age string) string {
	c := &s.cookies[k]
	var b strings.Builder
	if s.cookieDomain != "" {
		b.WriteString(";domain=" + s.cookieDomain)
	}
	b.WriteString(";path=" + c.path + ";Max-Age=" + age + ";secure;HttpOnly" + c.sameSite)
	if c.partitioned {
		b.WriteString(";Partitioned")
	}
	return b.String()
}

// deletion is a set-cookie by which the user's agent forgets a cookie.
func (s *settings) deletion(name, path string) string {
	d := name + "=deleted; path=" + path + "; expires=Thu, 01 Jan 1970 00:00:00 GMT"
	if s.cookieDomain != "" {
		d += ";domain=" + s.cookieDomain
	}
	if strings.HasPrefix(name, "__Secure-") || strings.HasPrefix(name, "__Host-") {
		d += "; Secure" // or the agent takes no notice
	}
	return d
}

// flowDeletions forget the cookies of a login that has ended.
func (s *settings) flowDeletions(flow string) (out []string) {
	for _, k := range []cookieKind{nonceCookie, verifierCookie} {
		if flow != "" {
			out = append(out, s.deletion(s.name(k, flow), s.cookies[k].path))
		}
		out = append(out, s.deletion(s.name(k, ""), s.cookies[k].path))
	}
	return out
}

// flowCookie is a cookie's value for a login: under its own name, or under
// the one that older Envoys know.
func (s *settings) flowCookie(j jar, k cookieKind, flow string) string {
	if v := j.get(s.name(k, flow)); v != "" {
		return v
	}
	return j.get(s.name(k, ""))
}

// ofFlow tells whether a cookie is of kind k, of any login.
func (s *settings) ofFlow(name string, k cookieKind) bool {
	base := s.cookies[k].name
	return name == base || strings.HasPrefix(name, base+".")
}

// hideFlow takes out of the request what the upstream need not see.
func (s *settings) hideFlow(j *jar) {
	j.remove(func(name string) bool {
		return name == s.cookies[hmacCookie].name || name == s.cookies[expiresCookie].name || name == s.cookies[refreshCookie].name ||
			s.ofFlow(name, nonceCookie) || s.ofFlow(name, verifierCookie)
	})
}

// hideTokens takes all tokens out of the request.
func (s *settings) hideTokens(j *jar) {
	j.remove(func(name string) bool {
		return name == s.cookies[bearerCookie].name || name == s.cookies[idCookie].name
	})
}
