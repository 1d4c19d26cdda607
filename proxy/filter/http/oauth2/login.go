package oauth2

import (
	"fmt"
	"strings"

	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/oauth"
	"github.com/weirproxy/weir/proxy/upstream/async"
)

// login sends the user to the authorization server.
func (f *filter) login(h *http.HeaderMap) {
	base := f.scheme(h) + "://" + f.host
	if f.originalURI != nil {
		base = f.format(f.originalURI)
	}
	if !f.mayRedirect(base) {
		f.refuse("authority or original_request_uri failed domain allow-list validation: " + base)
		return
	}
	redirect := f.format(f.redirectURI)
	if !f.mayRedirect(redirect) {
		f.refuse("redirect_uri failed domain allow-list validation: " + redirect)
		return
	}
	flow, verifier := nonce(), codeVerifier()
	token := csrfToken(f.hmacSecret.Value(), flow)
	params := append([]http.QueryParam{
		{Key: "state", Value: state{base + h.Get(http.Path), token, flow}.encode()},
		{Key: "redirect_uri", Value: oauth.QueryEncode(redirect)},
		{Key: "code_challenge", Value: codeChallenge(verifier)},
		{Key: "code_challenge_method", Value: "S256"},
	}, f.authParams...)
	f.stats.Unauthorized.Inc()
	f.answer(http.JoinQuery(f.authorization, params)+f.resources, f.flowCookies(flow, token, f.seal(verifier)), "oauth.missing_credentials")
}

// flowCookies are the cookies of a login: of its own, so that several can be
// under way at once, and of the name that older Envoys know.
func (s *settings) flowCookies(flow, token, verifier string) (out []string) {
	for _, c := range []struct {
		k          cookieKind
		value, age string
	}{{nonceCookie, token, seconds(s.nonceAge)}, {verifierCookie, verifier, seconds(s.verifierAge)}} {
		for _, name := range []string{s.name(c.k, flow), s.name(c.k, "")} {
			out = append(out, name+"="+c.value+s.attributes(c.k, c.age))
		}
	}
	return out
}

// scheme is https, as logins need it, unless the client says http.
func (f *filter) scheme(h *http.HeaderMap) string {
	if strings.EqualFold(h.Get(http.Scheme), "http") {
		return "http"
	}
	return "https"
}

// exchange has the code of a callback exchanged for tokens.
func (f *filter) exchange(h *http.HeaderMap, path string) {
	c := f.readCallback(path, f.jar)
	f.flow = c.flow
	if c.problem != "" {
		f.refuse(c.problem)
		return
	}
	f.returnTo = c.url
	sealed := f.flowCookie(f.jar, verifierCookie, c.flow)
	if sealed == "" {
		f.refuse("Code verifier cookie is missing in the request")
		return
	}
	verifier, err := f.open(sealed, f.stats)
	if err != nil {
		f.refuse(fmt.Sprintf("Failed to decrypt code verifier: %s, error: %v", sealed, err))
		return
	}
	f.ask(codeRequest(c.code, f.format(f.redirectURI), verifier), f.onExchanged)
}

// ask sends a token request once the client's credential is there. done is
// called with the response, in a later turn.
func (f *filter) ask(r tokenRequest, done func(*async.Response)) {
	if f.authType != privateKeyJWT {
		f.send(r, f.clientSecret.Value(), done)
		return
	}
	f.waiting = true
	cancelled := false
	f.cancel = func() { cancelled = true }
	loop, now := f.cb.Loop(), f.cb.Loop().Time()
	go func() {
		credential, err := f.assertion.make(f.clientID, f.clientSecret, now)
		loop.Post(func() {
			switch {
			case cancelled:
			case err != nil:
				f.fail(failure{"Failed to obtain client credential", err.Error()})
			default:
				f.send(r, credential, done)
			}
		})
	}()
}

func (f *filter) send(r tokenRequest, credential string, done func(*async.Response)) {
	call := f.settings.send(f.client(f.cb.Worker()), r, credential, func(r *async.Response) {
		f.cancel = nil
		done(r)
	})
	if call == nil {
		f.fail(failure{"Token endpoint cluster not found", ""})
		return
	}
	f.waiting, f.cancel = true, call.Cancel
}

// onExchanged takes the tokens for a callback's code: the user is logged in.
func (f *filter) onExchanged(r *async.Response) {
	if r.Status != 200 {
		f.fail(failure{"Failed to get access token", fmt.Sprintf("response code: %d, response body: %s", r.Status, r.Body)})
		return
	}
	all, problem := f.granted(r.Body)
	if problem.reason != "" {
		f.fail(problem)
		return
	}
	cookies, ok := f.sessionCookies(f.arrived, f.host, f.kept(all), all, f.cb.Loop().Time(), f.stats)
	if !ok {
		f.oversized()
		return
	}
	f.stats.Success.Inc()
	f.answer(f.returnTo, append(cookies, f.flowDeletions(f.flow)...), "oauth.logged_in")
}

// onRefreshed takes new tokens for a session that had expired.
func (f *filter) onRefreshed(r *async.Response) {
	h := f.cb.RequestHeaders()
	if r.Status != 200 {
		f.stats.RefreshFailure.Inc()
		f.unauthorized(h, "Failed to refresh the access token, and forwarding as unauthorized because OAuth failure is allowed",
			"Failed to refresh the access token, and redirecting to OAuth server is not allowed")
		return
	}
	all, problem := f.granted(r.Body)
	if problem.reason != "" {
		f.fail(problem)
		return
	}
	kept := f.kept(all)
	for _, t := range []struct {
		k     cookieKind
		value string
	}{{bearerCookie, kept.access}, {idCookie, kept.id}} {
		if t.value != "" {
			f.jar.set(f.cookies[t.k].name, t.value)
		}
	}
	if kept.refresh == "" {
		kept.refresh = f.jar.get(f.cookies[refreshCookie].name) // the server may let it be used again
	}
	cookies, ok := f.sessionCookies(f.arrived, f.host, kept, all, f.cb.Loop().Time(), f.stats)
	if !ok {
		f.oversized()
		return
	}
	f.refreshed = cookies
	f.stats.RefreshSuccess.Inc()
	f.stats.Success.Inc()
	f.forward(h, kept.tokens)
	f.stripFlow(h)
	f.goOn()
}

// oversized answers when the cookies would not be kept.
func (f *filter) oversized() {
	f.stats.Failure.Inc()
	f.unavailable("OAuth token exceeds the cookie chunk limit")
}

// signOut has the user's agent forget the session, and the authorization
// server, too, if it can be asked.
func (f *filter) signOut(h *http.HeaderMap) {
	var cookies []string
	for _, k := range []cookieKind{hmacCookie, bearerCookie, idCookie, refreshCookie, expiresCookie} {
		cookies = append(cookies, f.deletion(f.cookies[k].name, f.cookies[k].path))
	}
	for _, c := range f.arrived {
		for _, k := range []cookieKind{nonceCookie, verifierCookie} {
			if f.ofFlow(c.name, k) {
				cookies = append(cookies, f.deletion(c.name, f.cookies[k].path))
			}
		}
	}
	for _, k := range tokenCookies {
		base := f.cookies[k].name
		for _, name := range chunkNames(base, f.arrived.chunked(base)) {
			cookies = append(cookies, f.deletion(name, f.cookies[k].path))
		}
	}
	f.answer(f.logoutURL(h), cookies, "oauth.sign_out")
}

func (f *filter) logoutURL(h *http.HeaderMap) string {
	home := h.Get(http.Scheme) + "://" + f.host + "/"
	if f.endSession == "" {
		return home
	}
	to := f.endSession + "?id_token_hint=" + f.jar.get(f.cookies[idCookie].name) + "&client_id=" + f.clientID
	if f.noAfterLogout {
		return to
	}
	if f.afterLogout != nil {
		home = f.format(f.afterLogout)
	}
	return to + "&post_logout_redirect_uri=" + oauth.QueryEncode(home)
}
