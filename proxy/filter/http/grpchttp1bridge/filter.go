package grpchttp1bridge

import (
	"encoding/binary"
	"strings"

	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/network"
)

const (
	typeGRPC     = "application/grpc"
	typeProtobuf = "application/x-protobuf"
)

type factory struct {
	upgrade     bool // upgrade_protobuf_to_grpc
	ignoreQuery bool
}

// New implements http.FilterFactory.
func (f factory) New(_ int, cb http.FilterCallbacks) http.StreamFilter {
	return &filter{f: f, cb: cb}
}

type filter struct {
	f  factory
	cb http.FilterCallbacks
	state
}

type state struct {
	bridging bool // the client reads no trailers
	framing  bool // and knows no frames
}

// DecodeHeaders implements http.DecoderFilter.
func (f *filter) DecodeHeaders(h *http.HeaderMap, end bool) http.HeadersStatus {
	if f.f.upgrade && h.Get(http.ContentType) == typeProtobuf {
		f.framing = true
		h.Set(http.ContentType, typeGRPC)
		h.Remove(http.ContentLength)
		if f.f.ignoreQuery {
			path, _, _ := strings.Cut(h.Get(http.Path), "?")
			h.Set(http.Path, path)
		}
	}
	proto := f.cb.StreamInfo().Protocol
	f.bridging = http.IsGRPC(h) && (proto == "HTTP/1.1" || proto == "HTTP/1.0")
	return http.HeadersContinue
}

// DecodeData implements http.DecoderFilter.
func (f *filter) DecodeData(b *network.Buffer, end bool) http.DataStatus {
	if !f.framing {
		return http.DataContinue
	}
	if !end {
		return http.DataStopAndBuffer
	}
	whole := f.cb.Loop().NewBuffer()
	length := b.Len()
	kept := f.cb.DecodingBuffer()
	if kept != nil {
		length += kept.Len()
	}
	var frame [5]byte
	binary.BigEndian.PutUint32(frame[1:], uint32(length))
	whole.Append(frame[:])
	if kept != nil {
		whole.Move(kept)
	}
	whole.Move(b)
	b.Move(whole)
	return http.DataContinue
}

// DecodeTrailers implements http.DecoderFilter.
func (*filter) DecodeTrailers(*http.HeaderMap) http.TrailersStatus { return http.TrailersContinue }

// EncodeHeaders implements http.EncoderFilter.
func (f *filter) EncodeHeaders(_ *http.HeaderMap, end bool) http.HeadersStatus {
	if !f.bridging || end {
		return http.HeadersContinue
	}
	return http.HeadersStopIteration
}

// EncodeData implements http.EncoderFilter.
func (f *filter) EncodeData(_ *network.Buffer, end bool) http.DataStatus {
	if !f.bridging || end {
		return http.DataContinue
	}
	return http.DataStopAndBuffer
}

// EncodeTrailers implements http.EncoderFilter.
func (f *filter) EncodeTrailers(t *http.HeaderMap) http.TrailersStatus {
	if !f.bridging {
		return http.TrailersContinue
	}
	h := f.cb.ResponseHeaders()
	setStatus(h, t)
	body := f.cb.EncodingBuffer()
	if body != nil && f.framing {
		body.Drain(min(5, body.Len()))
	}
	length := 0
	if body != nil {
		length = body.Len()
	}
	h.SetInt(http.ContentLength, int64(length))
	return http.TrailersContinue
}

// setStatus puts the call's status, from the trailers, into the response's
// head.
func setStatus(h, trailers *http.HeaderMap) {
	if trailers.Has(http.GrpcStatus) {
		status := trailers.Get(http.GrpcStatus)
		if status != "0" {
			h.Set(http.Status, "503")
		}
		h.Set(http.GrpcStatus, h.Own(status))
	}
	if trailers.Has(http.GrpcMessage) {
		h.Set(http.GrpcMessage, h.Own(trailers.Get(http.GrpcMessage)))
	}
}

// OnDestroy implements http.StreamFilter.
func (*filter) OnDestroy() {}

// Recycle implements http.Recycler.
func (f *filter) Recycle() { f.state = state{} }
