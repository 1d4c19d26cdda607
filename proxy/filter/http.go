package filter

import (
	"github.com/weirproxy/weir/proxy/filter/http/apikeyauth"
	"github.com/weirproxy/weir/proxy/filter/http/basicauth"
	"github.com/weirproxy/weir/proxy/filter/http/buffer"
	"github.com/weirproxy/weir/proxy/filter/http/compressor"
	"github.com/weirproxy/weir/proxy/filter/http/cors"
	"github.com/weirproxy/weir/proxy/filter/http/csrf"
	"github.com/weirproxy/weir/proxy/filter/http/dynamicforward"
	"github.com/weirproxy/weir/proxy/filter/http/extauthz"
	"github.com/weirproxy/weir/proxy/filter/http/fault"
	"github.com/weirproxy/weir/proxy/filter/http/grpchttp1bridge"
	"github.com/weirproxy/weir/proxy/filter/http/grpcstats"
	"github.com/weirproxy/weir/proxy/filter/http/grpcweb"
	"github.com/weirproxy/weir/proxy/filter/http/headermutation"
	"github.com/weirproxy/weir/proxy/filter/http/headertometadata"
	"github.com/weirproxy/weir/proxy/filter/http/healthcheck"
	"github.com/weirproxy/weir/proxy/filter/http/jwtauthn"
	"github.com/weirproxy/weir/proxy/filter/http/localratelimit"
	"github.com/weirproxy/weir/proxy/filter/http/lua"
	"github.com/weirproxy/weir/proxy/filter/http/ratelimit"
	"github.com/weirproxy/weir/proxy/filter/http/rbac"
	"github.com/weirproxy/weir/proxy/filter/http/setfilterstate"
	"github.com/weirproxy/weir/proxy/filter/http/setmetadata"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/router"
	"github.com/weirproxy/weir/proxy/upstream"
)

// HTTP is the table of HTTP filters, by the type URL of their configuration.
// tables gives each worker's cluster table.
func HTTP(tables func(worker int) *upstream.Table) map[string]http.FilterMaker {
	return map[string]http.FilterMaker{
		cors.TypeURL:             cors.Maker(),
		fault.TypeURL:            fault.Maker(),
		grpcstats.TypeURL:        grpcstats.Maker(tables),
		grpcweb.TypeURL:          grpcweb.Maker(tables),
		rbac.TypeURL:             rbac.Maker(),
		compressor.TypeURL:       compressor.Maker(),
		dynamicforward.TypeURL:   dynamicforward.Maker(tables),
		extauthz.TypeURL:         extauthz.Maker(tables),
		lua.TypeURL:              lua.Maker(tables),
		router.TypeURL:           router.Maker(tables),
		apikeyauth.TypeURL:       apikeyauth.Maker(),
		basicauth.TypeURL:        basicauth.Maker(),
		buffer.TypeURL:           buffer.Maker(),
		csrf.TypeURL:             csrf.Maker(),
		grpchttp1bridge.TypeURL:  grpchttp1bridge.Maker(),
		headermutation.TypeURL:   headermutation.Maker(),
		headertometadata.TypeURL: headertometadata.Maker(),
		healthcheck.TypeURL:      healthcheck.Maker(tables),
		localratelimit.TypeURL:   localratelimit.Maker(),
		setfilterstate.TypeURL:   setfilterstate.Maker(),
		setmetadata.TypeURL:      setmetadata.Maker(),
		jwtauthn.TypeURL:         jwtauthn.Maker(tables),
		ratelimit.TypeURL:        ratelimit.Maker(tables),
	}
}
