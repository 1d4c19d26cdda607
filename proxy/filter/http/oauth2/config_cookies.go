package oauth2

import (
	oauth2v3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/oauth2/v3"
)

var sameSites = [...]string{
	oauth2v3.CookieConfig_DISABLED: "",
	oauth2v3.CookieConfig_STRICT:   ";SameSite=Strict",
	oauth2v3.CookieConfig_LAX:      ";SameSite=Lax",
	oauth2v3.CookieConfig_NONE:     ";SameSite=None",
}

func (s *settings) compileCookies(m *oauth2v3.OAuth2Config) {
	names, configs := m.GetCredentials().GetCookieNames(), m.GetCookieConfigs()
	for k, c := range [cookieKinds]struct {
		name, standard string
		config         *oauth2v3.CookieConfig
	}{
		bearerCookie:   {names.GetBearerToken(), "BearerToken", configs.GetBearerTokenCookieConfig()},
		idCookie:       {names.GetIdToken(), "IdToken", configs.GetIdTokenCookieConfig()},
		refreshCookie:  {names.GetRefreshToken(), "RefreshToken", configs.GetRefreshTokenCookieConfig()},
		hmacCookie:     {names.GetOauthHmac(), "OauthHMAC", configs.GetOauthHmacCookieConfig()},
		expiresCookie:  {names.GetOauthExpires(), "OauthExpires", configs.GetOauthExpiresCookieConfig()},
		nonceCookie:    {names.GetOauthNonce(), "OauthNonce", configs.GetOauthNonceCookieConfig()},
		verifierCookie: {names.GetCodeVerifier(), "CodeVerifier", configs.GetCodeVerifierCookieConfig()},
	} {
		x := cookieSettings{name: c.name, path: c.config.GetPath(), sameSite: sameSites[c.config.GetSameSite()], partitioned: c.config.GetPartitioned()}
		if x.name == "" {
			x.name = c.standard
		}
		if x.path == "" {
			x.path = "/"
		}
		s.cookies[k] = x
	}
	if c := m.GetTokenCookieChunking(); c != nil {
		s.chunks = &chunkSettings{size: 4096, count: 8}
		if v := c.GetMaxCookieSize(); v != nil {
			s.chunks.size = int(v.GetValue())
		}
		if v := c.GetMaxChunks(); v != nil {
			s.chunks.count = int(v.GetValue())
		}
	}
}
