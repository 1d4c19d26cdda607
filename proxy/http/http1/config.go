package http1

import (
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	preservecasev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/http/header_formatters/preserve_case/v3"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/xds/protos"
)

// CompileHeaderCase compiles a header_key_format; nil is lower case.
func CompileHeaderCase(p field.Path, c *corev3.Http1ProtocolOptions_HeaderKeyFormat) (HeaderCase, error) {
	switch f := c.GetHeaderFormat().(type) {
	case nil:
		return LowerCase, nil
	case *corev3.Http1ProtocolOptions_HeaderKeyFormat_ProperCaseWords_:
		return ProperCase, nil
	case *corev3.Http1ProtocolOptions_HeaderKeyFormat_StatefulFormatter:
		p := p.Dot("stateful_formatter.typed_config")
		const preserve = "envoy.extensions.http.header_formatters.preserve_case.v3.PreserveCaseFormatterConfig"
		if name := protos.TypeName(f.StatefulFormatter.GetTypedConfig()); name != preserve {
			return LowerCase, p.Errorf("weir has no header formatter %q", name)
		}
		m := &preservecasev3.PreserveCaseFormatterConfig{}
		if err := protos.Unpack(p, f.StatefulFormatter.GetTypedConfig(), m); err != nil {
			return LowerCase, err
		}
		return PreserveCase, field.Only(p, m)
	}
	return LowerCase, p.Errorf("weir does not support this format")
}
