package credentials

import (
	"slices"
	"strings"
	"time"

	injectorv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/credential_injector/v3"
	genericv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/http/injected_credentials/generic/v3"
	oauth2v3 "github.com/envoyproxy/go-control-plane/envoy/extensions/http/injected_credentials/oauth2/v3"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/matcher"
	"github.com/weirproxy/weir/proxy/oauth"
	"github.com/weirproxy/weir/proxy/stats"
	"github.com/weirproxy/weir/proxy/upstream"
	"github.com/weirproxy/weir/proxy/upstream/async"
	"github.com/weirproxy/weir/xds/protos"
)

// TypeURL is the type of the filter's configuration.
const TypeURL = "type.googleapis.com/envoy.extensions.filters.http.credential_injector.v3.CredentialInjector"

// The types of credentials.
const (
	genericType = "envoy.extensions.http.injected_credentials.generic.v3.Generic"
	oauth2Type  = "envoy.extensions.http.injected_credentials.oauth2.v3.OAuth2"
)

// Maker makes the filter's factories. tables gives each worker's cluster table.
func Maker(tables func(worker int) *upstream.Table) http.FilterMaker {
	return http.FilterMaker{Upstream: true, New: http.NewFrom(func(p field.Path, m *injectorv3.CredentialInjector, ctx *http.FactoryContext) (f *factory, err error) {
		f = &factory{header: "authorization", overwrite: m.GetOverwrite(), optional: m.GetAllowRequestWithoutCredential()}
		prefix := ctx.StatPrefix + "credential_injector."
		p, c := p.Dot("credential").Dot("typed_config"), m.GetCredential().GetTypedConfig()
		switch name := protos.TypeName(c); name {
		case genericType:
			err = f.generic(p, c, ctx)
		case oauth2Type:
			err = f.oauth2(p, c, prefix+"oauth2.", tables, ctx)
		default:
			err = p.Errorf("weir has no injected credential %q (%s)", m.GetCredential().GetName(), name)
		}
		if err != nil {
			return nil, err
		}
		f.group = stats.NewGroup[Stats](ctx.Stats, stats.Scope{Prefix: prefix})
		return f, nil
	})}
}

func (f *factory) generic(p field.Path, config *anypb.Any, ctx *http.FactoryContext) error {
	m, err := protos.UnpackAs[*genericv3.Generic](p, config)
	if err != nil {
		return err
	}
	if m.GetHeader() != "" {
		f.header = matcher.LowerASCII(m.GetHeader())
	}
	f.prefix = m.GetHeaderValuePrefix()
	f.credential, err = ctx.Secrets.Generic(p.Dot("credential"), m.GetCredential())
	return err
}

// defaultRetry is how long after a failure a token is fetched again.
const defaultRetry = 2 * time.Second

func (f *factory) oauth2(p field.Path, config *anypb.Any, prefix string, tables func(int) *upstream.Table, ctx *http.FactoryContext) error {
	m, err := protos.UnpackAs[*oauth2v3.OAuth2](p, config)
	if err != nil {
		return err
	}
	e := m.GetTokenEndpoint()
	t := &token{cluster: e.GetCluster(), timeout: e.GetTimeout().AsDuration(), retry: defaultRetry, parameters: parameters(m)}
	if t.host, t.path = oauth.HostAndPath(e.GetUri()); t.host == "" {
		return p.Dot("token_endpoint").Dot("uri").Errorf("%q is not a URI", e.GetUri())
	}
	if d := m.GetTokenFetchRetryInterval(); d != nil {
		t.retry = d.AsDuration()
	}
	if ctx.LocalAddress.IsValid() {
		t.forwardedFor = ctx.LocalAddress.String()
	}
	// auth_type makes no difference to Envoy: the secret is in the body.
	c := m.GetClientCredentials()
	t.clientID = c.GetClientId()
	if t.clientSecret, err = ctx.Secrets.Generic(p.Dot("client_credentials").Dot("client_secret"), c.GetClientSecret()); err != nil {
		return err
	}
	t.group = stats.NewGroup[tokenStats](ctx.Stats, stats.Scope{Prefix: prefix})
	t.loop = ctx.Loops[firstWorker]
	t.client = func() async.Client { return async.NewClient(tables(firstWorker)) }
	t.start()
	f.prefix, f.credential = "Bearer ", t
	return nil
}

// firstWorker is the worker that fetches tokens; main has no clusters.
const firstWorker = 1

// parameters are the further ones of a token request, sorted as Envoy sends
// them.
func parameters(m *oauth2v3.OAuth2) string {
	var b strings.Builder
	if s := m.GetScopes(); len(s) > 0 {
		b.WriteString("&scope=" + oauth.QueryEncode(strings.Join(s, " ")))
	}
	extra := slices.Clone(m.GetEndpointParams())
	slices.SortStableFunc(extra, func(x, y *oauth2v3.OAuth2_EndpointParameter) int {
		return strings.Compare(oauth.QueryEncode(x.GetName()), oauth.QueryEncode(y.GetName()))
	})
	for _, x := range extra {
		b.WriteString("&" + oauth.QueryEncode(x.GetName()) + "=" + oauth.QueryEncode(x.GetValue()))
	}
	return b.String()
}
