package manager

import (
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/http/http2"
)

// buildHTTP2 compiles the codec's type and the settings of the HTTP/2 codec.
func (c *Config) buildHTTP2(p field.Path, m *hcmv3.HttpConnectionManager) error {
	switch m.CodecType {
	case hcmv3.HttpConnectionManager_AUTO:
	case hcmv3.HttpConnectionManager_HTTP1:
		c.codec = codecHTTP1
	case hcmv3.HttpConnectionManager_HTTP2:
		c.codec = codecHTTP2
	default:
		return p.Dot("codec_type").Errorf("weir does not support %v", m.CodecType)
	}
	common := m.GetCommonHttpProtocolOptions()
	s := http2.Defaults()
	s.FlushTimeout = duration(m.StreamFlushTimeout, c.streamIdleTimeout)
	s.StreamErrors = m.GetStreamErrorOnInvalidHttpMessage().GetValue()
	if v := m.MaxRequestHeadersKb; v != nil {
		s.MaxHeadersKB = v.Value
	}
	if v := common.GetMaxHeadersCount(); v != nil {
		s.MaxHeadersCount = v.Value
	}
	switch common.GetHeadersWithUnderscoresAction() {
	case corev3.HttpProtocolOptions_REJECT_REQUEST:
		s.Underscores = http2.RejectUnderscores
	case corev3.HttpProtocolOptions_DROP_HEADER:
		s.Underscores = http2.DropUnderscores
	}
	c.http2 = s
	return http2.FromConfig(p.Dot("http2_protocol_options"), m.Http2ProtocolOptions, &c.http2)
}
