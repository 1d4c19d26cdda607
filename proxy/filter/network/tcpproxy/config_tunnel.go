package tcpproxy

import (
	"strings"

	tcpproxyv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/formatter"
	"github.com/weirproxy/weir/proxy/matcher"
	"github.com/weirproxy/weir/proxy/route"
	"github.com/weirproxy/weir/xds/protos"
)

func (s *settings) compileTunnel(path field.Path, p *tcpproxyv3.TcpProxy) error {
	m := p.GetTunnelingConfig()
	if m == nil {
		return nil
	}
	path = path.Dot("tunneling_config")
	if err := field.Only(path, m, "hostname", "use_post", "headers_to_add", "propagate_response_headers", "post_path", "propagate_response_trailers",
		"request_id_extension", "request_id_header", "request_id_metadata_key", "formatters"); err != nil {
		return err
	}
	t := &tunneling{post: m.GetUsePost(), path: "/", keepHead: m.GetPropagateResponseHeaders(), keepTrail: m.GetPropagateResponseTrailers()}
	if v := m.GetPostPath(); v != "" {
		if !t.post {
			return path.Dot("post_path").Errorf("is for use_post")
		}
		t.path = v
	}
	var err error
	if t.host, err = formatter.Compile(path.Dot("hostname"), m.GetHostname()); err != nil {
		return err
	}
	commands, err := formatter.CompileExtensions(path.Dot("formatters"), m.GetFormatters())
	if err != nil {
		return err
	}
	for i, h := range m.GetHeadersToAdd() {
		if name := matcher.LowerASCII(h.GetHeader().GetKey()); name == "host" || strings.HasPrefix(name, ":") {
			return path.Dot("headers_to_add").Index(i).Errorf("%q can't be changed", name)
		}
	}
	format := func(text string) (route.ValueFormatter, error) {
		return formatter.CompileWith("", text, formatter.Options{OmitEmptyValues: true, Commands: commands})
	}
	if t.headers, err = route.CompileHeaders(path.Dot("headers_to_add"), m.GetHeadersToAdd(), format); err != nil {
		return err
	}
	s.tunnel = t
	return t.compileID(path, m)
}

const uuidType = "envoy.extensions.request_id.uuid.v3.UuidRequestIdConfig"

// compileID takes the one extension that there is, whose settings are about
// tracing.
func (t *tunneling) compileID(path field.Path, m *tcpproxyv3.TcpProxy_TunnelingConfig) error {
	x := m.GetRequestIdExtension()
	if x == nil {
		return nil
	}
	if name := protos.TypeName(x.GetTypedConfig()); name != uuidType {
		return path.Dot("request_id_extension").Dot("typed_config").Errorf("weir has no request id extension %q", name)
	}
	t.idHeader, t.idKey = "x-request-id", "tunnel_request_id"
	if v := m.GetRequestIdHeader(); v != "" {
		t.idHeader = matcher.LowerASCII(v)
	}
	if v := m.GetRequestIdMetadataKey(); v != "" {
		t.idKey = v
	}
	return nil
}
