package http2

import "github.com/weirproxy/weir/proxy/stats"

// Stats are the codec's statistics, with Envoy's names: under "http2." for
// all listeners together, under "cluster.<name>.http2." for upstreams.
type Stats struct {
	DeferredStreamClose             stats.Gauge   `stat:"deferred_stream_close"`
	DroppedHeadersWithUnderscores   stats.Counter `stat:"dropped_headers_with_underscores"`
	GoAwaySent                      stats.Counter `stat:"goaway_sent"`
	HeaderOverflow                  stats.Counter `stat:"header_overflow"`
	HeadersCbNoStream               stats.Counter `stat:"headers_cb_no_stream"`
	InboundEmptyFramesFlood         stats.Counter `stat:"inbound_empty_frames_flood"`
	InboundPriorityFramesFlood      stats.Counter `stat:"inbound_priority_frames_flood"`
	InboundWindowUpdateFramesFlood  stats.Counter `stat:"inbound_window_update_frames_flood"`
	KeepaliveTimeout                stats.Counter `stat:"keepalive_timeout"`
	MetadataEmptyFrames             stats.Counter `stat:"metadata_empty_frames"`
	OutboundControlFlood            stats.Counter `stat:"outbound_control_flood"`
	OutboundFlood                   stats.Counter `stat:"outbound_flood"`
	OutboundControlFramesActive     stats.Gauge   `stat:"outbound_control_frames_active"` // what is encoded is written: 0
	OutboundFramesActive            stats.Gauge   `stat:"outbound_frames_active"`         // likewise
	PendingSendBytes                stats.Gauge   `stat:"pending_send_bytes"`
	RequestsRejectedWithUnderscores stats.Counter `stat:"requests_rejected_with_underscores_in_headers"`
	RxMessagingError                stats.Counter `stat:"rx_messaging_error"`
	RxReset                         stats.Counter `stat:"rx_reset"`
	StreamRefusedErrors             stats.Counter `stat:"stream_refused_errors"`
	StreamsActive                   stats.Gauge   `stat:"streams_active"`
	Trailers                        stats.Counter `stat:"trailers"`
	TxFlushTimeout                  stats.Counter `stat:"tx_flush_timeout"`
	TxReset                         stats.Counter `stat:"tx_reset"`
}

// Counters are where a codec counts.
func (s *Stats) Counters() Counters {
	return Counters{
		DroppedHeadersWithUnderscores:   (*uint64)(&s.DroppedHeadersWithUnderscores),
		RequestsRejectedWithUnderscores: (*uint64)(&s.RequestsRejectedWithUnderscores),
		GoAwaySent:                      (*uint64)(&s.GoAwaySent),
		HeaderOverflow:                  (*uint64)(&s.HeaderOverflow),
		InboundEmptyFramesFlood:         (*uint64)(&s.InboundEmptyFramesFlood),
		InboundPriorityFramesFlood:      (*uint64)(&s.InboundPriorityFramesFlood),
		InboundWindowUpdateFramesFlood:  (*uint64)(&s.InboundWindowUpdateFramesFlood),
		KeepaliveTimeout:                (*uint64)(&s.KeepaliveTimeout),
		OutboundControlFlood:            (*uint64)(&s.OutboundControlFlood),
		OutboundFlood:                   (*uint64)(&s.OutboundFlood),
		RxMessagingError:                (*uint64)(&s.RxMessagingError),
		RxReset:                         (*uint64)(&s.RxReset),
		StreamRefusedErrors:             (*uint64)(&s.StreamRefusedErrors),
		Trailers:                        (*uint64)(&s.Trailers),
		TxFlushTimeout:                  (*uint64)(&s.TxFlushTimeout),
		TxReset:                         (*uint64)(&s.TxReset),
		StreamsActive:                   &s.StreamsActive,
		PendingSendBytes:                &s.PendingSendBytes,
	}
}
