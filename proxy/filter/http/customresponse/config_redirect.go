package customresponse

import (
	"strings"

	redirectv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/http/custom_response/redirect_policy/v3"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/route"
	"github.com/weirproxy/weir/proxy/stats"
	"github.com/weirproxy/weir/xds/protos"
)

func newRedirectPolicy(p field.Path, config *anypb.Any, ctx *http.FactoryContext) (*redirectPolicy, error) {
	m := &redirectv3.RedirectPolicy{}
	if err := protos.Unpack(p, config, m); err != nil {
		return nil, err
	}
	// Envoy has no modify_request_headers_action either.
	if err := field.Only(p, m, "uri", "redirect_action", "status_code", "response_headers_to_add", "request_headers_to_add"); err != nil {
		return nil, err
	}
	c := &redirectPolicy{uri: m.GetUri(), status: int(m.GetStatusCode().GetValue())}
	var err error
	if a := m.GetRedirectAction(); a != nil {
		ap := p.Dot("redirect_action")
		// There is no matched prefix that could be replaced, as there is no route.
		if err := field.Only(ap, a, "https_redirect", "scheme_redirect", "host_redirect", "port_redirect", "path_redirect", "strip_query"); err != nil {
			return nil, err
		}
		if strings.Contains(a.GetPathRedirect(), "#") {
			return nil, ap.Dot("path_redirect").Errorf("%q: a fragment is not supported", a.GetPathRedirect())
		}
		if c.redirect, err = route.CompileRedirect(ap, a); err != nil {
			return nil, err
		}
	} else if _, _, _, ok := splitURI(c.uri); !ok {
		return nil, p.Dot("uri").Errorf("%q is not an absolute http or https URI", c.uri)
	}
	if c.requestHeaders, err = route.CompileHeaders(p.Dot("request_headers_to_add"), m.GetRequestHeadersToAdd(), compileFormat); err != nil {
		return nil, err
	}
	if c.responseHeaders, err = route.CompileHeaders(p.Dot("response_headers_to_add"), m.GetResponseHeadersToAdd(), compileFormat); err != nil {
		return nil, err
	}
	c.stats = stats.NewGroup[RedirectStats](ctx.Stats, stats.Scope{Prefix: ctx.StatPrefix})
	return c, nil
}
