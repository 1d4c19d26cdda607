package manager

import (
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"

	"github.com/weirproxy/weir/internal/field"
)

// buildForwardProto compiles by which restored ports x-forwarded-proto is chosen.
func (c *Config) buildForwardProto(p field.Path, m *hcmv3.ForwardProtoConfig) error {
	if err := field.Only(p.Dot("forward_proto_config"), m, "https_destination_ports", "http_destination_ports"); err != nil {
		return err
	}
	c.schemeByPort = map[uint16]string{}
	for _, port := range m.GetHttpDestinationPorts() {
		c.schemeByPort[uint16(port)] = "http"
	}
	for _, port := range m.GetHttpsDestinationPorts() {
		c.schemeByPort[uint16(port)] = "https"
	}
	return nil
}

func (c *Config) buildProxyStatus(p field.Path, m *hcmv3.HttpConnectionManager_ProxyStatusConfig) error {
	if m == nil {
		return nil
	}
	if err := field.Only(p.Dot("proxy_status_config"), m, "remove_details", "remove_connection_termination_details", "remove_response_flags",
		"set_recommended_response_code", "use_node_id", "literal_proxy_name"); err != nil {
		return err
	}
	c.proxyStatus = &proxyStatus{
		name: c.serverName, details: !m.GetRemoveDetails(), termination: !m.GetRemoveConnectionTerminationDetails(),
		flags: !m.GetRemoveResponseFlags(), setCode: m.GetSetRecommendedResponseCode(),
	}
	switch {
	case m.GetUseNodeId():
		c.proxyStatus.name = c.nodeID
	case m.GetLiteralProxyName() != "":
		c.proxyStatus.name = m.GetLiteralProxyName()
	}
	return nil
}
