package filter

import (
	"github.com/weirproxy/weir/proxy/filter/http/compressor"
	"github.com/weirproxy/weir/proxy/filter/http/cors"
	"github.com/weirproxy/weir/proxy/filter/http/extauthz"
	"github.com/weirproxy/weir/proxy/filter/http/extproc"
	"github.com/weirproxy/weir/proxy/filter/http/fault"
	"github.com/weirproxy/weir/proxy/filter/http/grpcstats"
	"github.com/weirproxy/weir/proxy/filter/http/grpcweb"
	"github.com/weirproxy/weir/proxy/filter/http/jwtauthn"
	"github.com/weirproxy/weir/proxy/filter/http/lua"
	"github.com/weirproxy/weir/proxy/filter/http/ratelimit"
	"github.com/weirproxy/weir/proxy/filter/http/rbac"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/router"
	"github.com/weirproxy/weir/proxy/upstream"
)

// HTTP is the table of HTTP filters, by the type URL of their configuration.
// tables gives each worker's cluster table.
func HTTP(tables func(worker int) *upstream.Table) map[string]http.FilterMaker {
	return map[string]http.FilterMaker{
		cors.TypeURL:       cors.Maker(),
		fault.TypeURL:      fault.Maker(),
		grpcstats.TypeURL:  grpcstats.Maker(tables),
		grpcweb.TypeURL:    grpcweb.Maker(tables),
		rbac.TypeURL:       rbac.Maker(),
		compressor.TypeURL: compressor.Maker(),
		extproc.TypeURL:    extproc.Maker(tables),
		extauthz.TypeURL:   extauthz.Maker(tables),
		jwtauthn.TypeURL:   jwtauthn.Maker(tables),
		lua.TypeURL:        lua.Maker(tables),
		ratelimit.TypeURL:  ratelimit.Maker(tables),
		router.TypeURL:     router.Maker(tables),
	}
}
