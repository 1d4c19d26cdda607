package http1

import (
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	preservecasev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/http/header_formatters/preserve_case/v3"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/xds/protos"
)

// CompileHeaderFormat compiles a header_key_format; nil is lower case.
func CompileHeaderFormat(p field.Path, c *corev3.Http1ProtocolOptions_HeaderKeyFormat) (HeaderFormat, error) {
	switch f := c.GetHeaderFormat().(type) {
	case nil:
		return HeaderFormat{}, nil
	case *corev3.Http1ProtocolOptions_HeaderKeyFormat_ProperCaseWords_:
		return HeaderFormat{Case: ProperCase}, nil
	case *corev3.Http1ProtocolOptions_HeaderKeyFormat_StatefulFormatter:
		p := p.Dot("stateful_formatter.typed_config")
		const preserve = "envoy.extensions.http.header_formatters.preserve_case.v3.PreserveCaseFormatterConfig"
		if name := protos.TypeName(f.StatefulFormatter.GetTypedConfig()); name != preserve {
			return HeaderFormat{}, p.Errorf("weir has no header formatter %q", name)
		}
		m := &preservecasev3.PreserveCaseFormatterConfig{}
		if err := protos.Unpack(p, f.StatefulFormatter.GetTypedConfig(), m); err != nil {
			return HeaderFormat{}, err
		}
		out := HeaderFormat{
			Case:          PreserveCase,
			KeepReason:    m.ForwardReasonPhrase,
			CapitalizeOwn: m.FormatterTypeOnEnvoyHeaders == preservecasev3.PreserveCaseFormatterConfig_PROPER_CASE,
		}
		return out, field.Only(p, m, "forward_reason_phrase", "formatter_type_on_envoy_headers")
	}
	return HeaderFormat{}, p.Errorf("weir does not support this format")
}
