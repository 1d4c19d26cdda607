package basicauth

import (
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	basicv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/basic_auth/v3"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/datasource"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/matcher"
	"github.com/weirproxy/weir/proxy/stats"
	"github.com/weirproxy/weir/xds/protos"
)

// TypeURL and RouteTypeURL are the types of the filter's configuration and of
// a route's.
const (
	TypeURL      = "type.googleapis.com/envoy.extensions.filters.http.basic_auth.v3.BasicAuth"
	RouteTypeURL = "type.googleapis.com/envoy.extensions.filters.http.basic_auth.v3.BasicAuthPerRoute"
)

// Maker makes the filter's factories.
func Maker() http.FilterMaker {
	return http.FilterMaker{New: newFactory, RouteTypeURL: RouteTypeURL, RouteConfig: newRoute}
}

func newFactory(p field.Path, config *anypb.Any, ctx *http.FactoryContext) (http.FilterFactory, error) {
	m := &basicv3.BasicAuth{}
	if err := protos.Unpack(p, config, m); err != nil {
		return nil, err
	}
	if err := field.Only(p, m, "users", "forward_username_header", "authentication_header", "allow_missing", "emit_dynamic_metadata", "realm"); err != nil {
		return nil, err
	}
	f := &factory{
		header: matcher.LowerASCII(m.GetAuthenticationHeader()), forward: matcher.LowerASCII(m.GetForwardUsernameHeader()),
		allowMissing: m.GetAllowMissing(), emit: m.GetEmitDynamicMetadata(), own: settings{realm: m.GetRealm()},
	}
	if f.header == "" {
		f.header = http.Authorization.Name()
	}
	var err error
	if f.own.users, err = readUsers(p.Dot("users"), m.GetUsers()); err != nil {
		return nil, err
	}
	f.group = stats.NewGroup[Stats](ctx.Stats, stats.Scope{Prefix: ctx.StatPrefix + "basic_auth."})
	return f, nil
}

func newRoute(p field.Path, config *anypb.Any, _ *http.FactoryContext) (any, error) {
	m, err := protos.UnpackAs[*basicv3.BasicAuthPerRoute](p, config)
	if err != nil {
		return nil, err
	}
	users, err := readUsers(p.Dot("users"), m.GetUsers())
	return &settings{users: users, realm: m.GetRealm()}, err
}

func readUsers(p field.Path, source *corev3.DataSource) (users, error) {
	text, err := datasource.Read(p, source)
	if err != nil {
		return nil, err
	}
	u, err := parseUsers(text)
	return u, p.Wrap(err)
}
