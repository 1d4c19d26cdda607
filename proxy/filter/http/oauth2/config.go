package oauth2

import (
	"slices"
	"strings"
	"time"

	oauth2v3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/oauth2/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	jose "github.com/go-jose/go-jose/v4"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/formatter"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/matcher"
	"github.com/weirproxy/weir/proxy/oauth"
	"github.com/weirproxy/weir/proxy/stats"
	"github.com/weirproxy/weir/proxy/upstream"
	"github.com/weirproxy/weir/proxy/upstream/async"
)

// TypeURL and RouteTypeURL are the types of the filter's configuration and of
// a route's.
const (
	TypeURL      = "type.googleapis.com/envoy.extensions.filters.http.oauth2.v3.OAuth2"
	RouteTypeURL = "type.googleapis.com/envoy.extensions.filters.http.oauth2.v3.OAuth2PerRoute"
)

// Maker makes the filter's factories. tables gives each worker's cluster table.
func Maker(tables func(worker int) *upstream.Table) http.FilterMaker {
	newFactory := func(p field.Path, m *oauth2v3.OAuth2, ctx *http.FactoryContext) (f *factory, err error) {
		f = &factory{client: async.Clients(tables)}
		if m.GetConfig() != nil {
			f.own, err = compile(p.Dot("config"), m.GetConfig(), ctx.StatPrefix, ctx)
		}
		return f, err
	}
	newRoute := func(p field.Path, m *oauth2v3.OAuth2PerRoute, ctx *http.FactoryContext) (*settings, error) {
		return compile(p.Dot("config"), m.GetConfig(), "", ctx)
	}
	return http.FilterMaker{New: http.NewFrom(newFactory), RouteTypeURL: RouteTypeURL, RouteConfig: http.RouteFrom(newRoute)}
}

func compile(p field.Path, m *oauth2v3.OAuth2Config, statPrefix string, ctx *http.FactoryContext) (*settings, error) {
	s := &settings{
		authType: authTypes[m.GetAuthType()], clientID: m.GetCredentials().GetClientId(), cookieDomain: m.GetCredentials().GetCookieDomain(),
		endSession: m.GetEndSessionEndpoint(), domains: m.GetAllowedRedirectDomains(),
		forwardBearer: m.GetForwardBearerToken(), preserveAuthorization: m.GetPreserveAuthorizationHeader(),
		plain: m.GetDisableTokenEncryption(), useRefresh: m.GetUseRefreshToken() == nil || m.GetUseRefreshToken().GetValue(),
		expiry: wholeSeconds(m.GetDefaultExpiresIn(), 0), refreshExpiry: wholeSeconds(m.GetDefaultRefreshTokenExpiresIn(), 7*24*time.Hour),
		nonceAge: wholeSeconds(m.GetCsrfTokenExpiresIn(), 10*time.Minute), verifierAge: wholeSeconds(m.GetCodeVerifierTokenExpiresIn(), 10*time.Minute),
		idExpiresLikeAccess: m.GetUseAccessTokenExpiryForIdTokenCookie(), runtime: ctx.Runtime,
	}
	s.noCookie[bearerCookie] = m.GetDisableAccessTokenSetCookie()
	s.noCookie[idCookie] = m.GetDisableIdTokenSetCookie()
	s.noCookie[refreshCookie] = m.GetDisableRefreshTokenSetCookie()
	s.compileCookies(m)
	for _, compile := range []func(field.Path, *oauth2v3.OAuth2Config, *http.FactoryContext) error{
		s.compileEndpoint, s.compileAuthorization, s.compileLogout, s.compileFormats, s.compileMatchers, s.compileForwarding, s.compileAssertion, s.compileSecrets,
	} {
		if err := compile(p, m, ctx); err != nil {
			return nil, err
		}
	}
	prefix := statPrefix + m.GetStatPrefix()
	if m.GetStatPrefix() != "" && !strings.HasSuffix(prefix, ".") {
		prefix += "."
	}
	s.group = stats.NewGroup[Stats](ctx.Stats, stats.Scope{Prefix: prefix})
	return s, nil
}

var authTypes = [...]authType{
	oauth2v3.OAuth2Config_URL_ENCODED_BODY: urlEncodedBody,
	oauth2v3.OAuth2Config_BASIC_AUTH:       basicAuth,
	oauth2v3.OAuth2Config_TLS_CLIENT_AUTH:  tlsClientAuth,
	oauth2v3.OAuth2Config_PRIVATE_KEY_JWT:  privateKeyJWT,
}

func wholeSeconds(d *durationpb.Duration, unset time.Duration) time.Duration {
	if d == nil {
		return unset
	}
	return d.AsDuration().Truncate(time.Second)
}

func (s *settings) compileEndpoint(p field.Path, m *oauth2v3.OAuth2Config, ctx *http.FactoryContext) (err error) {
	c := m.GetTokenEndpoint()
	s.token = endpoint{uri: c.GetUri(), cluster: c.GetCluster(), timeout: c.GetTimeout().AsDuration()}
	s.token.host, s.token.path = oauth.HostAndPath(c.GetUri())
	if !isAuthority(s.token.host) {
		return p.Dot("token_endpoint").Dot("uri").Errorf("%q is not a URI", c.GetUri())
	}
	if ctx.LocalAddress.IsValid() {
		s.token.forwardedFor = ctx.LocalAddress.String()
	}
	s.token.retry, err = async.CompileRetry(p.Dot("retry_policy"), m.GetRetryPolicy(), async.DefaultRetryOn)
	return err
}

func (s *settings) compileAuthorization(p field.Path, m *oauth2v3.OAuth2Config, _ *http.FactoryContext) error {
	u, ok := parseURL(m.GetAuthorizationEndpoint())
	if !ok {
		return p.Dot("authorization_endpoint").Errorf("invalid authorization endpoint URL '%s' in config.", m.GetAuthorizationEndpoint())
	}
	scopes := m.GetAuthScopes()
	if len(scopes) == 0 {
		scopes = []string{"user"}
	}
	path, params := http.SplitQuery(u.path)
	s.authorization = u.scheme + "://" + u.authority + path
	own := map[string]string{"client_id": s.clientID, "response_type": "code", "scope": oauth.QueryEncode(strings.Join(scopes, " "))}
	perLogin := []string{"state", "redirect_uri", "code_challenge", "code_challenge_method"}
	for _, x := range params {
		if _, fixed := own[x.Key]; !fixed && !slices.Contains(perLogin, x.Key) {
			s.authParams = append(s.authParams, x)
		}
	}
	for k, v := range own {
		s.authParams = append(s.authParams, http.QueryParam{Key: k, Value: v})
	}
	for _, r := range m.GetResources() {
		s.resources += "&resource=" + oauth.QueryEncode(r)
	}
	return nil
}

func (s *settings) compileLogout(p field.Path, m *oauth2v3.OAuth2Config, _ *http.FactoryContext) (err error) {
	if s.endSession != "" && !slices.Contains(m.GetAuthScopes(), "openid") {
		return p.Dot("end_session_endpoint").Errorf("end session endpoint is only supported for OpenID Connect.")
	}
	s.noAfterLogout = m.GetPostLogoutRedirectUri().GetDisabled()
	if uri := m.GetPostLogoutRedirectUri().GetUri(); uri != "" {
		s.afterLogout, err = formatter.Compile(p.Dot("post_logout_redirect_uri").Dot("uri"), uri)
	}
	return err
}

func (s *settings) compileFormats(p field.Path, m *oauth2v3.OAuth2Config, _ *http.FactoryContext) (err error) {
	if s.redirectURI, err = formatter.Compile(p.Dot("redirect_uri"), m.GetRedirectUri()); err != nil {
		return err
	}
	if uri := m.GetOriginalRequestUri(); uri != "" {
		s.originalURI, err = formatter.Compile(p.Dot("original_request_uri"), uri)
	}
	return err
}

func (s *settings) compileMatchers(p field.Path, m *oauth2v3.OAuth2Config, _ *http.FactoryContext) (err error) {
	path := func(name string, c *matcherv3.PathMatcher) matcher.String {
		var x matcher.String
		if err == nil {
			x, err = matcher.NewString(p.Dot(name).Dot("path"), c.GetPath(), nil)
		}
		return x
	}
	s.callback, s.signout = path("redirect_path_matcher", m.GetRedirectPathMatcher()), path("signout_path", m.GetSignoutPath())
	if err != nil {
		return err
	}
	if s.passThrough, err = matcher.NewHeaders(p.Dot("pass_through_matcher"), m.GetPassThroughMatcher(), nil); err != nil {
		return err
	}
	if s.denyRedirect, err = matcher.NewHeaders(p.Dot("deny_redirect_matcher"), m.GetDenyRedirectMatcher(), nil); err != nil {
		return err
	}
	s.mayFailing, err = matcher.NewHeaders(p.Dot("allow_failed_matcher"), m.GetAllowFailedMatcher(), nil)
	return err
}

func (s *settings) compileForwarding(p field.Path, m *oauth2v3.OAuth2Config, _ *http.FactoryContext) error {
	s.forwardID = matcher.LowerASCII(m.GetForwardIdToken().GetHeader())
	if strings.HasPrefix(s.forwardID, ":") || s.forwardID == "host" {
		return p.Dot("forward_id_token").Dot("header").Errorf("header '%s' can not be used to forward the ID token; pseudo-headers and the Host header are not allowed", m.GetForwardIdToken().GetHeader())
	}
	users := 0
	for _, uses := range []bool{s.forwardBearer, s.preserveAuthorization, s.forwardID == "authorization"} {
		if uses {
			users++
		}
	}
	if users > 1 {
		return p.Errorf("at most one of forward_bearer_token, preserve_authorization_header, or forward_id_token (when forwarding the ID token on the Authorization header) may be set, as they all use the Authorization header")
	}
	return nil
}

func (s *settings) compileAssertion(_ field.Path, m *oauth2v3.OAuth2Config, _ *http.FactoryContext) error {
	c := m.GetPrivateKeyJwtConfig()
	s.assertion = assertion{algorithm: jose.SignatureAlgorithm(c.GetSigningAlgorithm().String()), lifetime: wholeSeconds(c.GetAssertionLifetime(), time.Minute), audience: c.GetAssertionAudience()}
	if s.assertion.audience == "" {
		s.assertion.audience = s.token.uri
	}
	return nil
}

// compileSecrets comes last: what it watches must be closed.
func (s *settings) compileSecrets(p field.Path, m *oauth2v3.OAuth2Config, ctx *http.FactoryContext) (err error) {
	p, c := p.Dot("credentials"), m.GetCredentials()
	switch {
	case s.authType == tlsClientAuth:
		// Envoy takes a token_secret here, and makes no use of it.
	case c.GetTokenSecret() == nil:
		return p.Dot("token_secret").Errorf("token_secret is required when auth_type is not TLS_CLIENT_AUTH")
	default:
		if s.clientSecret, err = ctx.Secrets.Generic(p.Dot("token_secret"), c.GetTokenSecret()); err != nil {
			return err
		}
	}
	if s.hmacSecret, err = ctx.Secrets.Generic(p.Dot("hmac_secret"), c.GetHmacSecret()); err != nil {
		s.clientSecret.Close()
	}
	return err
}
