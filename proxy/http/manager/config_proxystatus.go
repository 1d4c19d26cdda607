package manager

import (
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"

	"github.com/weirproxy/weir/internal/field"
)

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
