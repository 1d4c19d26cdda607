// Fields that Envoy calls deprecated but obeys are obeyed here too.
//
//lint:file-ignore SA1019 see above

package manager

import (
	"time"

	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"

	"github.com/weirproxy/weir/internal/field"
)

func (c *Config) buildLogMoments(p field.Path, m *hcmv3.HttpConnectionManager) error {
	o := m.AccessLogOptions
	if o == nil {
		c.logOnStart, c.logEvery = m.FlushAccessLogOnNewRequest, duration(m.AccessLogFlushInterval, 0)
	} else {
		if m.FlushAccessLogOnNewRequest || m.AccessLogFlushInterval != nil {
			return p.Dot("access_log_options").Errorf("access_log_flush_interval and flush_access_log_on_new_request belong in here when it is given")
		}
		c.logOnStart, c.logOnTunnel = o.FlushAccessLogOnNewRequest, o.FlushLogOnTunnelSuccessfullyEstablished
		c.logEvery = duration(o.AccessLogFlushInterval, 0)
	}
	if c.logEvery != 0 && c.logEvery < time.Millisecond {
		return p.Dot("access_log_options.access_log_flush_interval").Errorf("must be at least 1 ms")
	}
	return nil
}
