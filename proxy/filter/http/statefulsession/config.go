package statefulsession

import (
	"strings"

	sessionv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/stateful_session/v3"
	cookiev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/http/stateful_session/cookie/v3"
	envelopev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/http/stateful_session/envelope/v3"
	headerv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/http/stateful_session/header/v3"
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
	TypeURL      = "type.googleapis.com/envoy.extensions.filters.http.stateful_session.v3.StatefulSession"
	RouteTypeURL = "type.googleapis.com/envoy.extensions.filters.http.stateful_session.v3.StatefulSessionPerRoute"
)

// The types of session states.
const (
	cookieType   = "envoy.extensions.http.stateful_session.cookie.v3.CookieBasedSessionState"
	headerType   = "envoy.extensions.http.stateful_session.header.v3.HeaderBasedSessionState"
	envelopeType = "envoy.extensions.http.stateful_session.envelope.v3.EnvelopeSessionState"
)

// Maker makes the filter's factories.
func Maker() http.FilterMaker {
	return http.FilterMaker{New: http.NewFrom(newFactory), RouteTypeURL: RouteTypeURL, RouteConfig: http.RouteFrom(newRoute)}
}

func newFactory(p field.Path, m *sessionv3.StatefulSession, ctx *http.FactoryContext) (*settings, error) {
	return compile(p, m, ctx.StatPrefix, ctx)
}

func newRoute(p field.Path, m *sessionv3.StatefulSessionPerRoute, ctx *http.FactoryContext) (*settings, error) {
	if m.GetDisabled() {
		return &settings{disabled: true}, nil
	}
	return compile(p.Dot("stateful_session"), m.GetStatefulSession(), "", ctx)
}

func compile(p field.Path, m *sessionv3.StatefulSession, statPrefix string, ctx *http.FactoryContext) (*settings, error) {
	s := &settings{strict: m.GetStrict()}
	if code := int(m.GetStatusOnStrictDestinationNotFound()); s.strict && code != 0 {
		if s.status = code; code < 200 || code > 599 {
			return nil, p.Dot("status_on_strict_destination_not_found").Errorf("%d is not a status of a response", code)
		}
	}
	if c := m.GetSessionState(); c != nil {
		var err error
		if s.state, err = compileState(p.Dot("session_state").Dot("typed_config"), c.GetName(), c.GetTypedConfig()); err != nil {
			return nil, err
		}
	}
	if name := m.GetStatPrefix(); name != "" {
		s.group = stats.NewGroup[Stats](ctx.Stats, stats.Scope{Prefix: statPrefix + "stateful_session." + name + "."})
	}
	return s, nil
}

func compileState(p field.Path, name string, config *anypb.Any) (state, error) {
	switch t := protos.TypeName(config); t {
	case cookieType:
		m, err := protos.UnpackAs[*cookiev3.CookieBasedSessionState](p, config)
		if err != nil {
			return nil, err
		}
		return compileCookie(m), nil
	case headerType:
		m, err := protos.UnpackAs[*headerv3.HeaderBasedSessionState](p, config)
		if err != nil {
			return nil, err
		}
		return &headerState{matcher.LowerASCII(m.GetName())}, nil
	case envelopeType:
		m, err := protos.UnpackAs[*envelopev3.EnvelopeSessionState](p, config)
		if err != nil {
			return nil, err
		}
		return &envelopeState{matcher.LowerASCII(m.GetHeader().GetName())}, nil
	default:
		return nil, p.Errorf("weir has no session state %q (%s)", name, t)
	}
}

func compileCookie(m *cookiev3.CookieBasedSessionState) *cookieState {
	c := m.GetCookie()
	s := &cookieState{name: c.GetName(), path: c.GetPath(), ttl: c.GetTtl().GetSeconds()}
	var more []string
	for _, a := range c.GetAttributes() {
		more = append(more, strings.TrimSuffix(a.GetName()+"="+a.GetValue(), "="))
	}
	s.attributes = cookieAttributes(s.ttl, s.path, more)
	return s
}
