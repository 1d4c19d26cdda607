package http2

//lint:file-ignore SA1019 control planes still send the deprecated field, and Envoy takes it

import (
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"golang.org/x/net/http2"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/weirproxy/weir/internal/field"
)

// FromConfig puts Http2ProtocolOptions at path p into set, which has what is
// to be where they say nothing. A nil o changes nothing.
func FromConfig(p field.Path, o *corev3.Http2ProtocolOptions, set *Settings) error {
	// use_oghttp2_codec chooses between two codecs of Envoy, of which weir has
	// neither; METADATA frames are ignored, as by Envoy's default.
	if err := field.Only(p, o, "hpack_table_size", "max_concurrent_streams", "initial_stream_window_size",
		"initial_connection_window_size", "allow_connect", "allow_metadata", "max_outbound_frames", "max_outbound_control_frames",
		"max_consecutive_inbound_frames_with_empty_payload", "max_inbound_priority_frames_per_stream",
		"max_inbound_window_update_frames_per_data_frame_sent", "stream_error_on_invalid_http_messaging",
		"override_stream_error_on_invalid_http_message", "custom_settings_parameters", "connection_keepalive",
		"use_oghttp2_codec", "enable_huffman_encoding", "max_header_field_size_kb", "disallow_obs_text",
		"stream_reset_burst", "stream_reset_rate"); err != nil {
		return err
	}
	if o == nil {
		return nil
	}
	if o.AllowMetadata {
		return p.Dot("allow_metadata").Errorf("weir does not support METADATA frames")
	}
	if v := o.EnableHuffmanEncoding; v != nil && !v.Value {
		return p.Dot("enable_huffman_encoding").Errorf("weir always uses Huffman coding where that is shorter")
	}
	for _, f := range []struct {
		name     string
		from     *wrapperspb.UInt32Value
		to       *uint32
		min, max uint32
	}{
		{"hpack_table_size", o.HpackTableSize, &set.TableSize, 0, maxTableSize},
		{"max_concurrent_streams", o.MaxConcurrentStreams, &set.MaxStreams, 1, maxStreamID},
		{"initial_stream_window_size", o.InitialStreamWindowSize, &set.StreamWindow, initWindow, maxWindow},
		{"initial_connection_window_size", o.InitialConnectionWindowSize, &set.ConnectionWindow, initWindow, maxWindow},
		{"max_outbound_frames", o.MaxOutboundFrames, &set.MaxOutboundFrames, 1, 1<<32 - 1},
		{"max_outbound_control_frames", o.MaxOutboundControlFrames, &set.MaxOutboundControlFrames, 1, 1<<32 - 1},
		{"max_consecutive_inbound_frames_with_empty_payload", o.MaxConsecutiveInboundFramesWithEmptyPayload, &set.MaxEmptyFrames, 0, 1<<32 - 1},
		{"max_inbound_priority_frames_per_stream", o.MaxInboundPriorityFramesPerStream, &set.MaxPriorityFrames, 0, 1<<32 - 1},
		{"max_inbound_window_update_frames_per_data_frame_sent", o.MaxInboundWindowUpdateFramesPerDataFrameSent, &set.MaxWindowUpdates, 1, 1<<32 - 1},
		{"max_header_field_size_kb", o.MaxHeaderFieldSizeKb, &set.MaxFieldKB, 1, 1 << 20},
	} {
		if f.from == nil {
			continue
		}
		if f.from.Value < f.min || f.from.Value > f.max {
			return p.Dot(f.name).Errorf("%d is not between %d and %d", f.from.Value, f.min, f.max)
		}
		*f.to = f.from.Value
	}
	set.AllowConnect = o.AllowConnect
	// Of Envoy's codecs only that one heeds it.
	set.NoObsText = o.GetDisallowObsText().GetValue() && o.GetUseOghttp2Codec().GetValue()
	if v := o.StreamResetBurst; v != nil {
		set.ResetBurst = v.Value
	}
	if v := o.StreamResetRate; v != nil {
		set.ResetRate = v.Value
	}
	set.StreamErrors = set.StreamErrors || o.StreamErrorOnInvalidHttpMessaging
	if v := o.OverrideStreamErrorOnInvalidHttpMessage; v != nil {
		set.StreamErrors = v.Value
	}
	if err := customSettings(p.Dot("custom_settings_parameters"), o.CustomSettingsParameters, set); err != nil {
		return err
	}
	return keepAliveSettings(p.Dot("connection_keepalive"), o.ConnectionKeepalive, &set.KeepAlive)
}

// maxTableSize bounds what one connection's HPACK table may take.
const maxTableSize = 1 << 20

// customSettings takes parameters that weir knows nothing of: those it knows
// have fields of their own, which Envoy asks to be used as well.
func customSettings(p field.Path, params []*corev3.Http2ProtocolOptions_SettingsParameter, set *Settings) error {
	values := map[uint32]uint32{}
	for i, x := range params {
		id, v := x.GetIdentifier().GetValue(), x.GetValue().GetValue()
		p := p.Index(i)
		switch {
		case id > 1<<16-1:
			return p.Dot("identifier").Errorf("%d does not fit 16 bits", id)
		case http2.SettingID(id) == http2.SettingEnablePush:
			return p.Errorf("server push is not supported")
		case http2.SettingID(id) == http2.SettingEnableConnectProtocol:
			return p.Errorf("use allow_connect")
		case id <= uint32(http2.SettingInitialWindowSize), http2.SettingID(id) == http2.SettingMaxFrameSize:
			return p.Errorf("weir sets the parameter %d itself", id)
		}
		if before, ok := values[id]; ok {
			if before != v {
				return p.Errorf("the parameter %d has two values", id)
			}
			continue
		}
		values[id] = v
		set.Extra = append(set.Extra, Setting{uint16(id), v})
	}
	return nil
}

func keepAliveSettings(p field.Path, o *corev3.KeepaliveSettings, set *KeepAlive) error {
	if o == nil {
		return nil
	}
	if o.Timeout == nil || o.Timeout.AsDuration() <= 0 {
		return p.Dot("timeout").Errorf("missing or not greater than 0")
	}
	*set = KeepAlive{
		Interval: o.GetInterval().AsDuration(), Timeout: o.Timeout.AsDuration(),
		IdleInterval: o.GetConnectionIdleInterval().AsDuration(), JitterPercent: 15,
	}
	if o.IntervalJitter != nil {
		set.JitterPercent = o.IntervalJitter.Value
	}
	return nil
}
