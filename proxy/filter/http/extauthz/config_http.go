package extauthz

import (
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	extauthzv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_authz/v3"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/formatter"
	"github.com/weirproxy/weir/proxy/upstream/async"
)

// compileHTTP compiles an HttpService. f, the filter, is nil for a route's
// service; its allowed_headers may be given in the service.
func compileHTTP(p field.Path, c *extauthzv3.HttpService, f *factory) (service, error) {
	if err := field.Only(p, c, "server_uri", "path_prefix", "path_override", "authorization_request", "authorization_response", "retry_policy"); err != nil {
		return nil, err
	}
	if c.GetServerUri() == nil {
		return nil, p.Dot("server_uri").Errorf("not set")
	}
	if c.PathPrefix != "" && !strings.HasPrefix(c.PathPrefix, "/") {
		return nil, p.Dot("path_prefix").Errorf("path_prefix should start with \"/\"")
	}
	switch {
	case c.PathOverride == "":
	case c.PathPrefix != "":
		return nil, p.Dot("path_override").Errorf("Only one of path_prefix or path_override may be set, not both.")
	case !strings.HasPrefix(c.PathOverride, "/"):
		return nil, p.Dot("path_override").Errorf("path_override should start with \"/\".")
	}
	s := &httpService{override: c.PathOverride, cluster: c.GetServerUri().GetCluster(), timeout: c.GetServerUri().GetTimeout().AsDuration(), prefix: c.PathPrefix}
	ap := p.Dot("authorization_request")
	a := c.GetAuthorizationRequest()
	//lint:ignore SA1019 control planes still send it, and Envoy takes it
	own, err := patterns(ap.Dot("allowed_headers"), a.GetAllowedHeaders())
	if err != nil {
		return nil, err
	}
	switch {
	case len(own) == 0, f == nil: // Envoy looks at the filter's only
	case len(f.allowed) > 0:
		return nil, ap.Dot("allowed_headers").Errorf("Invalid duplicate configuration for allowed_headers.")
	default:
		f.allowed = own
	}
	if s.add, err = headersToAdd(ap.Dot("headers_to_add"), a.GetHeadersToAdd()); err != nil {
		return nil, err
	}
	rp := p.Dot("authorization_response")
	r := c.GetAuthorizationResponse()
	if s.upstream, err = patterns(rp.Dot("allowed_upstream_headers"), r.GetAllowedUpstreamHeaders()); err != nil {
		return nil, err
	}
	if s.upstreamAppend, err = patterns(rp.Dot("allowed_upstream_headers_to_append"), r.GetAllowedUpstreamHeadersToAppend()); err != nil {
		return nil, err
	}
	if s.client, err = patterns(rp.Dot("allowed_client_headers"), r.GetAllowedClientHeaders()); err != nil {
		return nil, err
	}
	if s.clientOnSuccess, err = patterns(rp.Dot("allowed_client_headers_on_success"), r.GetAllowedClientHeadersOnSuccess()); err != nil {
		return nil, err
	}
	if s.retry, err = async.CompileRetry(p.Dot("retry_policy"), c.RetryPolicy, ""); err != nil {
		return nil, err
	}
	s.metadata, err = patterns(rp.Dot("dynamic_metadata_from_headers"), r.GetDynamicMetadataFromHeaders())
	return s, err
}

func headersToAdd(p field.Path, list []*corev3.HeaderValue) ([]addedHeader, error) {
	var out []addedHeader
	for i, h := range list {
		hp := p.Index(i)
		if err := field.Only(hp, h, "key", "value", "raw_value"); err != nil {
			return nil, err
		}
		if h.GetValue() == "" {
			continue // Envoy adds no empty header, nor one of a raw value
		}
		x, err := formatter.Compile(hp.Dot("value"), h.GetValue())
		if err != nil {
			return nil, err
		}
		out = append(out, addedHeader{strings.ToLower(h.GetKey()), x})
	}
	return out, nil
}
