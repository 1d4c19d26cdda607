package apikeyauth

import (
	keyv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/api_key_auth/v3"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/matcher"
	"github.com/weirproxy/weir/proxy/stats"
	"github.com/weirproxy/weir/xds/protos"
)

// TypeURL and RouteTypeURL are the types of the filter's configuration and of
// a route's.
const (
	TypeURL      = "type.googleapis.com/envoy.extensions.filters.http.api_key_auth.v3.ApiKeyAuth"
	RouteTypeURL = "type.googleapis.com/envoy.extensions.filters.http.api_key_auth.v3.ApiKeyAuthPerRoute"
)

// Maker makes the filter's factories.
func Maker() http.FilterMaker {
	return http.FilterMaker{New: newFactory, RouteTypeURL: RouteTypeURL, RouteConfig: newRoute}
}

func newFactory(p field.Path, config *anypb.Any, ctx *http.FactoryContext) (http.FilterFactory, error) {
	m := &keyv3.ApiKeyAuth{}
	if err := protos.Unpack(p, config, m); err != nil {
		return nil, err
	}
	s, err := compile(p, m)
	if err != nil {
		return nil, err
	}
	return &factory{*s, stats.NewGroup[Stats](ctx.Stats, stats.Scope{Prefix: ctx.StatPrefix + "api_key_auth."})}, nil
}

func newRoute(p field.Path, config *anypb.Any, _ *http.FactoryContext) (any, error) {
	m := &keyv3.ApiKeyAuthPerRoute{}
	if err := protos.Unpack(p, config, m); err != nil {
		return nil, err
	}
	s, err := compile(p, m)
	if err != nil {
		return nil, err
	}
	if len(m.GetAllowedClients()) > 0 {
		s.allowed = map[string]bool{}
	}
	for _, c := range m.GetAllowedClients() {
		s.allowed[c] = true
	}
	return s, nil
}

// compile compiles what both messages have.
func compile(p field.Path, m interface {
	GetCredentials() []*keyv3.Credential
	GetKeySources() []*keyv3.KeySource
	GetForwarding() *keyv3.Forwarding
}) (*settings, error) {
	s := &settings{}
	if len(m.GetCredentials()) > 0 {
		s.clients = map[string]string{}
	}
	for i, c := range m.GetCredentials() {
		if _, twice := s.clients[c.GetKey()]; twice {
			return nil, p.Dot("credentials").Index(i).Errorf("Duplicated credential key")
		}
		s.clients[c.GetKey()] = c.GetClient()
	}
	for i, k := range m.GetKeySources() {
		src := source{header: matcher.LowerASCII(k.GetHeader()), query: k.GetQuery(), cookie: k.GetCookie()}
		if src == (source{}) {
			return nil, p.Dot("key_sources").Index(i).Errorf("One of 'header'/'query'/'cookie' must be set.")
		}
		s.sources = append(s.sources, src)
	}
	if f := m.GetForwarding(); f != nil {
		s.forwarding = &forwarding{header: matcher.LowerASCII(f.GetHeader()), hide: f.GetHideCredentials()}
	}
	return s, nil
}
