package grpcweb

import (
	"encoding/binary"

	"github.com/weirproxy/weir/proxy/callstats"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/network"
)

const (
	typeText      = "application/grpc-web-text"
	typeTextProto = "application/grpc-web-text+proto"
	typeWeb       = "application/grpc-web"
	typeProto     = "application/grpc-web+proto"
)

// maxMessage bounds the body that becomes a grpc-message, in bytes.
const maxMessage = 16 << 10

type factory struct{ tables *callstats.Tables }

// New implements http.FilterFactory.
func (f *factory) New(_ int, cb http.FilterCallbacks) http.StreamFilter {
	return &filter{tables: f.tables, cb: cb}
}

// Close ends the statistics.
func (f *factory) Close() { f.tables.Close() }

type filter struct {
	tables *callstats.Tables
	cb     http.FilterCallbacks
	call
}

// call is what is zero when a stream begins.
type call struct {
	web          bool             // the request is gRPC-Web
	stats        *callstats.Stats // nil: not counted
	textRequest  bool
	textResponse bool
	decoder      decoder
	encoder      encoder
	foreign      bool   // the response is not gRPC: its body becomes message
	message      []byte // at most maxMessage
}

// DecodeHeaders implements http.DecoderFilter.
func (f *filter) DecodeHeaders(h *http.HeaderMap, _ bool) http.HeadersStatus {
	ct := h.Get(http.ContentType)
	f.textRequest = ct == typeText || ct == typeTextProto
	if f.web = f.textRequest || ct == typeWeb || ct == typeProto; !f.web {
		return http.HeadersContinue
	}
	if m, ok := callstats.ParseMethod(h.Get(http.Path)); ok {
		if table, cluster, ok := f.tables.Of(f.cb); ok {
			f.stats = table.Method(cluster, m)
		}
	}
	accept := h.Get(http.Accept)
	f.textResponse = accept == typeText || accept == typeTextProto
	h.Remove(http.ContentLength)
	h.Set(http.ContentType, "application/grpc")
	h.Set(http.TE, "trailers")
	h.SetName("grpc-accept-encoding", "identity")
	return http.HeadersContinue
}

// DecodeData implements http.DecoderFilter.
func (f *filter) DecodeData(b *network.Buffer, end bool) http.DataStatus {
	if !f.textRequest {
		return http.DataContinue
	}
	const body = "Bad gRPC-web request, invalid base64 data."
	if !f.decoder.decode(b) {
		f.cb.SendLocalReply(400, body, nil, http.NoGrpcStatus, "grpc_base_64_decode_failed")
		return http.DataStopNoBuffer
	}
	if end && f.decoder.nLeft > 0 {
		f.cb.SendLocalReply(400, body, nil, http.NoGrpcStatus, "grpc_base_64_decode_failed_bad_size")
		return http.DataStopNoBuffer
	}
	return http.DataContinue
}

// DecodeTrailers implements http.DecoderFilter.
func (f *filter) DecodeTrailers(*http.HeaderMap) http.TrailersStatus { return http.TrailersContinue }

// EncodeHeaders implements http.EncoderFilter.
func (f *filter) EncodeHeaders(h *http.HeaderMap, end bool) http.HeadersStatus {
	if !f.web {
		return http.HeadersContinue
	}
	f.stats.Ended(h.Get(http.GrpcStatus))
	ct := h.Get(http.ContentType)
	f.foreign = !end && !http.IsGRPCResponse(h, end) && ct != typeWeb && ct != typeProto && ct != typeText && ct != typeTextProto
	if f.textResponse {
		h.Set(http.ContentType, typeTextProto)
	} else {
		h.Set(http.ContentType, typeProto)
	}
	if f.foreign {
		return http.HeadersStopIteration
	}
	if !end {
		h.Remove(http.ContentLength) // the body grows
	}
	return http.HeadersContinue
}

// EncodeData implements http.EncoderFilter.
func (f *filter) EncodeData(b *network.Buffer, end bool) http.DataStatus {
	switch {
	case f.foreign:
		for p := range b.Pieces {
			f.message = append(f.message, p[:min(len(p), maxMessage-len(f.message))]...)
		}
		b.Reset()
		if !end {
			return http.DataStopAndBuffer
		}
		f.explain()
	case f.textResponse:
		f.encoder.encode(b, end)
	}
	return http.DataContinue
}

// explain makes a gRPC error of an answer that is not gRPC.
func (f *filter) explain() {
	h := f.cb.ResponseHeaders()
	status := 0
	for _, c := range []byte(h.Get(http.Status)) {
		status = status*10 + int(c-'0')
	}
	code := http.GRPCStatus(status)
	h.SetInt(http.GrpcStatus, int64(code))
	h.Set(http.GrpcMessage, h.Own(http.PercentEncode(string(f.message))))
	h.Set(http.ContentLength, "0")
	f.foreign, f.message = false, nil
}

// EncodeTrailers implements http.EncoderFilter: the trailers become a frame
// at the end of the body.
func (f *filter) EncodeTrailers(t *http.HeaderMap) http.TrailersStatus {
	if !f.web {
		return http.TrailersContinue
	}
	f.stats.Ended(t.Get(http.GrpcStatus))
	if f.foreign {
		f.explain()
		return http.TrailersContinue
	}
	frame := []byte{0x80, 0, 0, 0, 0}
	for l := range t.All {
		frame = append(append(append(append(frame, l.Name...), ':'), l.Value...), "\r\n"...)
	}
	binary.BigEndian.PutUint32(frame[1:], uint32(len(frame)-5))
	t.Reset() // they are not trailers any more, not for the log either
	b := f.cb.Loop().NewBuffer()
	if f.textResponse {
		f.encoder.encode(b, true) // what is left of the body
		f.encoder.append(b, frame, true)
	} else {
		b.Append(frame)
	}
	f.cb.InjectEncodedData(b, true)
	return http.TrailersStopIteration
}

// OnDestroy implements http.StreamFilter.
func (f *filter) OnDestroy() {}

// Recycle implements http.Recycler.
func (f *filter) Recycle() { f.call = call{} }
