package manager

import (
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/accesslog"
	"github.com/weirproxy/weir/proxy/datasource"
	"github.com/weirproxy/weir/proxy/formatter"
	"github.com/weirproxy/weir/proxy/route"
)

// RouteFactory finds or makes the route configuration of a manager.
type RouteFactory interface {
	Provider(p field.Path, m *hcmv3.HttpConnectionManager) (RouteProvider, error)
}

func (c *Config) buildLocalReplies(p field.Path, m *hcmv3.LocalReplyConfig, o Options) error {
	if m == nil {
		return nil
	}
	p = p.Dot("local_reply_config")
	lr := &localReplies{}
	var err error
	if lr.body, err = compileReplyBody(p.Dot("body_format"), m.BodyFormat); err != nil {
		return err
	}
	for i, mm := range m.Mappers {
		mapper, err := compileMapper(p.Dot("mappers").Index(i), mm, o)
		if err != nil {
			return err
		}
		lr.mappers = append(lr.mappers, mapper)
	}
	c.localReplies = lr
	return nil
}

func compileReplyBody(p field.Path, f *corev3.SubstitutionFormatString) (*replyBody, error) {
	if f == nil {
		return nil, nil
	}
	x, err := formatter.CompileFormatString(p, f)
	if err != nil {
		return nil, err
	}
	return &replyBody{format: x, contentType: formatter.ContentType(f)}, nil
}

func compileMapper(p field.Path, m *hcmv3.ResponseMapper, o Options) (r localReplyMapper, err error) {
	if err := field.Only(p, m, "filter", "status_code", "body", "body_format_override", "headers_to_add"); err != nil {
		return r, err
	}
	if r.match, err = accesslog.CompileFilter(p.Dot("filter"), m.Filter, o.AccessLogs); err != nil {
		return r, err
	}
	r.status = int(m.GetStatusCode().GetValue())
	if m.Body != nil {
		text, err := datasource.Read(p.Dot("body"), m.Body)
		if err != nil {
			return r, err
		}
		r.text = &text
	}
	if r.body, err = compileReplyBody(p.Dot("body_format_override"), m.BodyFormatOverride); err != nil {
		return r, err
	}
	r.headers, err = route.CompileHeaders(p.Dot("headers_to_add"), m.HeadersToAdd, CompileFormat)
	return r, err
}

// CompileFormat compiles a header value with substitution commands.
func CompileFormat(text string) (route.ValueFormatter, error) {
	return formatter.CompileHeader("", text)
}
