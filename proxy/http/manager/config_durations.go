package manager

import (
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/weirproxy/weir/internal/field"
)

// checkDurations refuses times below zero.
func checkDurations(p field.Path, m *hcmv3.HttpConnectionManager) error {
	common := m.GetCommonHttpProtocolOptions()
	for _, f := range []struct {
		path  field.Path
		value *durationpb.Duration
	}{
		{p.Dot("stream_idle_timeout"), m.GetStreamIdleTimeout()},
		{p.Dot("request_timeout"), m.GetRequestTimeout()},
		{p.Dot("drain_timeout"), m.GetDrainTimeout()},
		{p.Dot("delayed_close_timeout"), m.GetDelayedCloseTimeout()},
		{p.Dot("common_http_protocol_options.idle_timeout"), common.GetIdleTimeout()},
		{p.Dot("common_http_protocol_options.max_connection_duration"), common.GetMaxConnectionDuration()},
		{p.Dot("common_http_protocol_options.max_stream_duration"), common.GetMaxStreamDuration()},
	} {
		if f.value.AsDuration() < 0 {
			return f.path.Errorf("a duration must not be negative")
		}
	}
	return nil
}
