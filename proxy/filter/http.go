package filter

import (
	"maps"

	"google.golang.org/protobuf/types/known/anypb"

	"github.com/weirproxy/weir/proxy/accesslog"
	"github.com/weirproxy/weir/proxy/filter/http/adaptiveconcurrency"
	"github.com/weirproxy/weir/proxy/filter/http/admissioncontrol"
	"github.com/weirproxy/weir/proxy/filter/http/apikeyauth"
	"github.com/weirproxy/weir/proxy/filter/http/bandwidthlimit"
	"github.com/weirproxy/weir/proxy/filter/http/basicauth"
	"github.com/weirproxy/weir/proxy/filter/http/buffer"
	"github.com/weirproxy/weir/proxy/filter/http/cdnloop"
	"github.com/weirproxy/weir/proxy/filter/http/composite"
	"github.com/weirproxy/weir/proxy/filter/http/compressor"
	"github.com/weirproxy/weir/proxy/filter/http/cors"
	"github.com/weirproxy/weir/proxy/filter/http/credentials"
	"github.com/weirproxy/weir/proxy/filter/http/csrf"
	"github.com/weirproxy/weir/proxy/filter/http/customresponse"
	"github.com/weirproxy/weir/proxy/filter/http/decompressor"
	"github.com/weirproxy/weir/proxy/filter/http/dynamicforward"
	"github.com/weirproxy/weir/proxy/filter/http/extauthz"
	"github.com/weirproxy/weir/proxy/filter/http/extproc"
	"github.com/weirproxy/weir/proxy/filter/http/fault"
	"github.com/weirproxy/weir/proxy/filter/http/grpchttp1bridge"
	"github.com/weirproxy/weir/proxy/filter/http/grpcstats"
	"github.com/weirproxy/weir/proxy/filter/http/grpcweb"
	"github.com/weirproxy/weir/proxy/filter/http/headermutation"
	"github.com/weirproxy/weir/proxy/filter/http/headertometadata"
	"github.com/weirproxy/weir/proxy/filter/http/healthcheck"
	"github.com/weirproxy/weir/proxy/filter/http/istioalpn"
	"github.com/weirproxy/weir/proxy/filter/http/istiopeer"
	"github.com/weirproxy/weir/proxy/filter/http/jsontometadata"
	"github.com/weirproxy/weir/proxy/filter/http/jwtauthn"
	"github.com/weirproxy/weir/proxy/filter/http/localratelimit"
	"github.com/weirproxy/weir/proxy/filter/http/lua"
	"github.com/weirproxy/weir/proxy/filter/http/oauth2"
	"github.com/weirproxy/weir/proxy/filter/http/ratelimit"
	"github.com/weirproxy/weir/proxy/filter/http/rbac"
	"github.com/weirproxy/weir/proxy/filter/http/setfilterstate"
	"github.com/weirproxy/weir/proxy/filter/http/setmetadata"
	"github.com/weirproxy/weir/proxy/filter/http/statefulsession"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/router"
	"github.com/weirproxy/weir/proxy/upstream"
)

// HTTP is the table of HTTP filters, by the type URL of their configuration.
// tables gives each worker's cluster table, logs what access logs need.
func HTTP(tables func(worker int) *upstream.Table, logs func() accesslog.Options) map[string]http.FilterMaker {
	table := map[string]http.FilterMaker{
		adaptiveconcurrency.TypeURL: adaptiveconcurrency.Maker(),
		admissioncontrol.TypeURL:    admissioncontrol.Maker(),
		apikeyauth.TypeURL:          apikeyauth.Maker(),
		bandwidthlimit.TypeURL:      bandwidthlimit.Maker(),
		basicauth.TypeURL:           basicauth.Maker(),
		buffer.TypeURL:              buffer.Maker(),
		cdnloop.TypeURL:             cdnloop.Maker(),
		compressor.TypeURL:          compressor.Maker(),
		cors.TypeURL:                cors.Maker(),
		credentials.TypeURL:         credentials.Maker(tables),
		csrf.TypeURL:                csrf.Maker(),
		customresponse.TypeURL:      customresponse.Maker(),
		dynamicforward.TypeURL:      dynamicforward.Maker(tables),
		extauthz.TypeURL:            extauthz.Maker(tables),
		decompressor.TypeURL:        decompressor.Maker(),
		extproc.TypeURL:             extproc.Maker(tables),
		fault.TypeURL:               fault.Maker(),
		grpchttp1bridge.TypeURL:     grpchttp1bridge.Maker(),
		grpcstats.TypeURL:           grpcstats.Maker(tables),
		grpcweb.TypeURL:             grpcweb.Maker(tables),
		headermutation.TypeURL:      headermutation.Maker(),
		headertometadata.TypeURL:    headertometadata.Maker(),
		healthcheck.TypeURL:         healthcheck.Maker(tables),
		istioalpn.TypeURL:           istioalpn.Maker(tables),
		istiopeer.TypeURL:           istiopeer.Maker(tables),
		jsontometadata.TypeURL:      jsontometadata.Maker(),
		jwtauthn.TypeURL:            jwtauthn.Maker(tables),
		localratelimit.TypeURL:      localratelimit.Maker(),
		lua.TypeURL:                 lua.Maker(tables),
		oauth2.TypeURL:              oauth2.Maker(tables),
		ratelimit.TypeURL:           ratelimit.Maker(tables),
		rbac.TypeURL:                rbac.Maker(),
		setfilterstate.TypeURL:      setfilterstate.Maker(),
		setmetadata.TypeURL:         setmetadata.Maker(),
		statefulsession.TypeURL:     statefulsession.Maker(),
	}
	table[router.TypeURL] = router.Maker(tables, logs, Lookup(Upstream(table)))
	maps.Copy(table, composite.Makers(Lookup(table)))
	return table
}

// Upstream are the filters of a table of HTTP filters that may stand upstream:
// in a cluster's http_filters and the router's upstream_http_filters.
func Upstream(all map[string]http.FilterMaker) map[string]http.FilterMaker {
	table := map[string]http.FilterMaker{router.CodecTypeURL: router.CodecMaker()}
	for url, m := range all {
		if m.Upstream {
			table[url] = m
		}
	}
	maps.Copy(table, composite.Makers(Lookup(table)))
	return table
}

// Lookup finds filters in a table.
func Lookup(table map[string]http.FilterMaker) http.FilterLookup {
	return func(config *anypb.Any) (http.FilterMaker, bool) {
		m, ok := table[TypeURL(config)]
		return m, ok
	}
}
