package tcpproxy

import (
	tcpproxyv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/formatter"
)

// compileConnect compiles when the upstream connection is made, and how often.
func (s *settings) compileConnect(path field.Path, p *tcpproxyv3.TcpProxy) error {
	switch mode := p.GetUpstreamConnectMode(); mode {
	case tcpproxyv3.UpstreamConnectMode_IMMEDIATE:
	case tcpproxyv3.UpstreamConnectMode_ON_DOWNSTREAM_DATA:
		s.when = connectOnData
	case tcpproxyv3.UpstreamConnectMode_ON_DOWNSTREAM_TLS_HANDSHAKE:
		s.when = connectOnHandshake
	default:
		return path.Dot("upstream_connect_mode").Errorf("unknown value %d", mode)
	}
	if v := p.GetMaxEarlyDataBytes(); v != nil {
		s.readEarly, s.earlyLimit = true, v.GetValue()
	} else if s.when != connectAtOnce {
		return path.Dot("max_early_data_bytes").Errorf("is needed by this upstream_connect_mode")
	}
	b := p.GetBackoffOptions()
	if b == nil {
		return nil
	}
	s.backoff.base = b.GetBaseInterval().AsDuration()
	s.backoff.most = 10 * s.backoff.base
	if m := b.GetMaxInterval(); m != nil {
		if s.backoff.most = m.AsDuration(); s.backoff.most < s.backoff.base {
			return path.Dot("backoff_options").Dot("max_interval").Errorf("is less than base_interval")
		}
	}
	return nil
}

func (s *settings) compileTLVs(path field.Path, p *tcpproxyv3.TcpProxy) error {
	switch policy := p.GetProxyProtocolTlvMergePolicy(); policy {
	case tcpproxyv3.ProxyProtocolTlvMergePolicy_ADD_IF_ABSENT:
	case tcpproxyv3.ProxyProtocolTlvMergePolicy_OVERWRITE_BY_TYPE_IF_EXISTS_OR_ADD:
		s.tlvMerge = overwriteByType
	case tcpproxyv3.ProxyProtocolTlvMergePolicy_APPEND_IF_EXISTS_OR_ADD:
		s.tlvMerge = appendAlways
	default:
		return path.Dot("proxy_protocol_tlv_merge_policy").Errorf("unknown value %d", policy)
	}
	for i, e := range p.GetProxyProtocolTlvs() {
		path := path.Dot("proxy_protocol_tlvs").Index(i)
		if err := field.Only(path, e, "type", "value", "format_string"); err != nil {
			return err
		}
		t := tlv{kind: byte(e.GetType()), value: e.GetValue()}
		switch f := e.GetFormatString(); {
		case e.GetType() > 255:
			return path.Dot("type").Errorf("%d is not a TLV type (0 to 255)", e.GetType())
		case (f == nil) == (len(e.GetValue()) == 0):
			return path.Errorf("needs one of value and format_string")
		case f != nil:
			var err error
			if t.format, err = formatter.CompileFormatString(path.Dot("format_string"), f); err != nil {
				return err
			}
		}
		s.tlvs = append(s.tlvs, t)
	}
	return nil
}
