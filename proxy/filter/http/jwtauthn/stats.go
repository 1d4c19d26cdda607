package jwtauthn

import "github.com/weirproxy/weir/proxy/stats"

// Stats are under http.<prefix>.jwt_authn.
type Stats struct {
	Allowed               stats.Counter `stat:"allowed"`
	CorsPreflightBypassed stats.Counter `stat:"cors_preflight_bypassed"`
	Denied                stats.Counter `stat:"denied"`
	JwksFetchFailed       stats.Counter `stat:"jwks_fetch_failed"`
	JwksFetchSuccess      stats.Counter `stat:"jwks_fetch_success"`
	CacheHit              stats.Counter `stat:"jwt_cache_hit"`
	CacheMiss             stats.Counter `stat:"jwt_cache_miss"`
}
