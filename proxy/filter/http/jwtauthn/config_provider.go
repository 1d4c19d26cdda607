package jwtauthn

import (
	"net/url"
	"strings"
	"time"

	jwtauthnv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/jwt_authn/v3"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/datasource"
	"github.com/weirproxy/weir/proxy/matcher"
	"github.com/weirproxy/weir/proxy/upstream/async"
)

func compileProvider(p field.Path, name string, c *jwtauthnv3.JwtProvider) (*provider, error) {
	x := &provider{
		name: name, issuer: c.Issuer, audiences: bareAudiences(c.Audiences), needsExp: c.RequireExpiration, maxLifetime: c.GetMaxLifetime().AsDuration(),
		skew: time.Minute, forward: c.Forward, payloadHeader: strings.ToLower(c.ForwardPayloadHeader), padPayload: c.PadForwardPayloadHeader,
		payloadIn: c.PayloadInMetadata, headerIn: c.HeaderInMetadata, failureIn: c.FailedStatusInMetadata,
		spaced: c.GetNormalizePayloadInMetadata().GetSpaceDelimitedClaims(), clearRoute: c.ClearRouteCache,
	}
	if c.ClockSkewSeconds > 0 {
		x.skew = time.Duration(c.ClockSkewSeconds) * time.Second
	}
	if c.Subjects != nil {
		m, err := matcher.NewString(p.Dot("subjects"), c.Subjects, nil)
		if err != nil {
			return nil, err
		}
		x.subjects = &m
	}
	if k := c.JwtCacheConfig; k != nil {
		x.cacheSize, x.cacheToken = 100, 4096
		if k.JwtCacheSize > 0 {
			x.cacheSize = int(k.JwtCacheSize)
		}
		if k.JwtMaxTokenSize > 0 {
			x.cacheToken = int(k.JwtMaxTokenSize)
		}
	}
	for i, h := range c.ClaimToHeaders {
		hp := p.Dot("claim_to_headers").Index(i)
		path := strings.Split(h.ClaimName, ".")
		if len(h.ClaimPath) > 0 {
			path = path[:0]
			for _, s := range h.ClaimPath {
				path = append(path, s.GetKey())
			}
		} else if h.ClaimName == "" {
			return nil, hp.Errorf("claim_name or claim_path is needed")
		}
		x.claims = append(x.claims, claimHeader{strings.ToLower(h.HeaderName), path})
	}
	x.locations = locations(c)
	return x, x.compileKeys(p, c)
}

func bareAudiences(list []string) (out []string) {
	for _, a := range list {
		out = append(out, bareAudience(a))
	}
	return out
}

func locations(c *jwtauthnv3.JwtProvider) (out []location) {
	for _, h := range c.FromHeaders {
		out = append(out, location{kind: inHeader, name: strings.ToLower(h.Name), prefix: h.ValuePrefix})
	}
	for _, name := range c.FromParams {
		out = append(out, location{kind: inParam, name: name})
	}
	for _, name := range c.FromCookies {
		out = append(out, location{kind: inCookie, name: name})
	}
	if len(out) == 0 {
		return defaultLocations
	}
	return out
}

func (x *provider) compileKeys(p field.Path, c *jwtauthnv3.JwtProvider) (err error) {
	switch s := c.JwksSourceSpecifier.(type) {
	case *jwtauthnv3.JwtProvider_LocalJwks:
		lp := p.Dot("local_jwks")
		raw, err := datasource.Read(lp, s.LocalJwks)
		if err != nil {
			return err
		}
		if x.local, err = parseKeys([]byte(raw)); err != nil {
			return lp.Errorf("Provider '%s' in jwt_authn config has invalid local jwks: %w", x.name, err)
		}
		return nil
	case *jwtauthnv3.JwtProvider_RemoteJwks:
		x.remote, err = compileRemote(p.Dot("remote_jwks"), s.RemoteJwks)
		return err
	}
	return p.Errorf("one of remote_jwks and local_jwks is needed")
}

func compileRemote(p field.Path, c *jwtauthnv3.RemoteJwks) (*remoteKeys, error) {
	if err := field.Only(p, c, "http_uri", "cache_duration", "async_fetch", "retry_policy"); err != nil {
		return nil, err
	}
	u, err := url.Parse(c.GetHttpUri().GetUri())
	if err != nil || u.Host == "" {
		return nil, p.Dot("http_uri").Dot("uri").Errorf("%q is not a URI", c.GetHttpUri().GetUri())
	}
	r := &remoteKeys{cluster: c.GetHttpUri().GetCluster(), host: u.Host, path: u.RequestURI(), timeout: c.GetHttpUri().GetTimeout().AsDuration(),
		keep: 10 * time.Minute, ahead: c.AsyncFetch != nil, hold: c.AsyncFetch != nil && !c.AsyncFetch.FastListener, again: time.Second}
	if r.retry, err = async.CompileRetry(p.Dot("retry_policy"), c.RetryPolicy, async.DefaultRetryOn); err != nil {
		return nil, err
	}
	if d := c.CacheDuration; d != nil {
		r.keep = d.AsDuration()
	}
	if d := c.GetAsyncFetch().GetFailedRefetchDuration(); d != nil {
		r.again = max(d.AsDuration(), time.Millisecond)
	}
	return r, nil
}
