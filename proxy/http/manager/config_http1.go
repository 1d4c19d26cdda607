package manager

import (
	"slices"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/http/http1"
	"github.com/weirproxy/weir/proxy/matcher"
)

// buildHTTP1 compiles the settings of the HTTP/1 codec.
func (c *Config) buildHTTP1(p field.Path, m *hcmv3.HttpConnectionManager) error {
	p = p.Dot("http_protocol_options")
	o, common := m.GetHttpProtocolOptions(), m.GetCommonHttpProtocolOptions()
	if err := field.Only(p, o, "allow_absolute_url", "accept_http_10", "default_host_for_http_10", "header_key_format", "enable_trailers",
		"allow_chunked_length", "override_stream_error_on_invalid_http_message", "allow_custom_methods",
		"ignore_http_11_upgrade", "use_balsa_parser", "send_fully_qualified_url"); err != nil {
		return err
	}
	s := http1.Settings{
		MaxHeadersKB:       http.DefaultMaxRequestHeadersKB,
		MaxHeadersCount:    http.DefaultMaxHeadersCount,
		AcceptHTTP10:       o.GetAcceptHttp_10(),
		DefaultHost:        o.GetDefaultHostForHttp_10(),
		NoAbsoluteURL:      o.GetAllowAbsoluteUrl() != nil && !o.GetAllowAbsoluteUrl().Value,
		EnableTrailers:     o.GetEnableTrailers(),
		AllowChunkedLength: o.GetAllowChunkedLength(),
		AllowCustomMethods: o.GetAllowCustomMethods(),
		StreamErrors:       m.GetStreamErrorOnInvalidHttpMessage().GetValue(),
	}
	if v := o.GetOverrideStreamErrorOnInvalidHttpMessage(); v != nil {
		s.StreamErrors = v.Value
	}
	if v := m.MaxRequestHeadersKb; v != nil {
		s.MaxHeadersKB = v.Value
	}
	if v := common.GetMaxHeadersCount(); v != nil {
		s.MaxHeadersCount = v.Value
	}
	switch common.GetHeadersWithUnderscoresAction() {
	case corev3.HttpProtocolOptions_REJECT_REQUEST:
		s.Underscores = http1.RejectUnderscores
	case corev3.HttpProtocolOptions_DROP_HEADER:
		s.Underscores = http1.DropUnderscores
	}
	// use_balsa_parser chooses among Envoy's parsers; send_fully_qualified_url
	// is for upstream connections.
	var ignored []matcher.String
	for i, u := range o.GetIgnoreHttp_11Upgrade() {
		x, err := matcher.NewString(p.Dot("ignore_http_11_upgrade").Index(i), u, matcher.NewRegexes())
		if err != nil {
			return err
		}
		ignored = append(ignored, x)
	}
	if len(ignored) > 0 {
		s.IgnoreUpgrade = func(protocol string) bool {
			return slices.ContainsFunc(ignored, func(m matcher.String) bool { return m.Match(protocol) })
		}
	}
	var err error
	s.HeaderFormat, err = http1.CompileHeaderFormat(p.Dot("header_key_format"), o.GetHeaderKeyFormat())
	c.http1 = s
	return err
}
