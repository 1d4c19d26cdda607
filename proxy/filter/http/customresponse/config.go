package customresponse

import (
	customv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/custom_response/v3"
	localv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/http/custom_response/local_response_policy/v3"
	redirectv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/http/custom_response/redirect_policy/v3"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/datasource"
	"github.com/weirproxy/weir/proxy/formatter"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/matcher/tree"
	"github.com/weirproxy/weir/proxy/route"
	"github.com/weirproxy/weir/xds/protos"
)

// TypeURL is the type of the filter's configuration and of a route's.
const TypeURL = "type.googleapis.com/envoy.extensions.filters.http.custom_response.v3.CustomResponse"

// Maker makes the filter's factories.
func Maker() http.FilterMaker {
	return http.FilterMaker{
		New: func(p field.Path, config *anypb.Any, ctx *http.FactoryContext) (http.FilterFactory, error) {
			s, err := compile(p, config, ctx)
			if err != nil {
				return nil, err
			}
			return factory{s}, nil
		},
		RouteConfig: func(p field.Path, config *anypb.Any, ctx *http.FactoryContext) (any, error) {
			s, err := compile(p, config, ctx)
			if err != nil {
				return nil, err
			}
			return s, nil
		},
	}
}

func compile(p field.Path, config *anypb.Any, ctx *http.FactoryContext) (*settings, error) {
	m := &customv3.CustomResponse{}
	if err := protos.Unpack(p, config, m); err != nil {
		return nil, err
	}
	if err := field.Only(p, m, "custom_response_matcher"); err != nil {
		return nil, err
	}
	if m.GetCustomResponseMatcher() == nil {
		return &settings{}, nil
	}
	var err error
	s := &settings{}
	s.policies, err = tree.Compile(p.Dot("custom_response_matcher"), m.GetCustomResponseMatcher(), tree.Options[policy]{
		Context: tree.Streams, KeepMatching: true, Runtime: ctx.Runtime, Stats: ctx.Stats,
		Action: func(p field.Path, _ string, config *anypb.Any) (policy, error) { return s.newPolicy(p, config, ctx) },
	})
	if err != nil {
		s.Close()
	}
	return s, err
}

// newPolicy compiles one action of the matcher.
func (s *settings) newPolicy(p field.Path, config *anypb.Any, ctx *http.FactoryContext) (policy, error) {
	if config.MessageIs((*redirectv3.RedirectPolicy)(nil)) {
		r, err := newRedirectPolicy(p, config, ctx)
		if err == nil {
			s.closers = append(s.closers, r.stats.Close)
		}
		return policy{redirect: r}, err
	}
	l, err := newLocalPolicy(p, config)
	return policy{local: l}, err
}

func newLocalPolicy(p field.Path, config *anypb.Any) (*localPolicy, error) {
	m := &localv3.LocalResponsePolicy{}
	if err := protos.Unpack(p, config, m); err != nil {
		return nil, err
	}
	if err := field.Only(p, m, "body", "body_format", "status_code", "response_headers_to_add", "preserve_response_code_details", "response_code_details"); err != nil {
		return nil, err
	}
	c := &localPolicy{status: int(m.GetStatusCode().GetValue()), keepDetails: m.GetPreserveResponseCodeDetails(), details: m.GetResponseCodeDetails()}
	var err error
	if m.GetBody() != nil {
		if c.body, err = datasource.Read(p.Dot("body"), m.GetBody()); err != nil {
			return nil, err
		}
	}
	if f := m.GetBodyFormat(); f != nil {
		if c.format, err = formatter.CompileFormatString(p.Dot("body_format"), f); err != nil {
			return nil, err
		}
	}
	c.headers, err = route.CompileHeaders(p.Dot("response_headers_to_add"), m.GetResponseHeadersToAdd(), compileFormat)
	return c, err
}

func compileFormat(text string) (route.ValueFormatter, error) {
	return formatter.CompileHeader("", text)
}
