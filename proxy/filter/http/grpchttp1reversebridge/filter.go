package grpchttp1reversebridge

import (
	"encoding/binary"
	"strconv"

	"github.com/weirproxy/weir/proxy/grpc"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/network"
)

// frame is the length of what gRPC puts before a message: a flag and its
// length.
const frame = 5

// disabled is a route's configuration.
type disabled bool

// factory is a FilterConfig compiled.
type factory struct {
	contentType string // the server's
	noFrames    bool   // it knows no frames
	sizeHeader  string // where it tells the size of its answer; "": answers are held until they are whole
}

// New implements http.FilterFactory.
func (f *factory) New(_ int, cb http.FilterCallbacks) http.StreamFilter {
	return &filter{factory: f, cb: cb}
}

// filter serves one call, and then later ones: see Recycle.
type filter struct {
	*factory
	cb http.FilterCallbacks
	state
}

// state is what is zero when a stream begins.
type state struct {
	on          bool
	client      string // the content type of the call
	stripped    bool   // of the request's frame
	framed      bool   // the answer has its frame
	status      int    // of the call
	size, given uint32 // of the answer: as told, and as it came
}

// Recycle implements http.Recycler.
func (f *filter) Recycle() { f.state = state{} }

// OnDestroy implements http.StreamFilter.
func (*filter) OnDestroy() {}

// DecodeHeaders implements http.DecoderFilter.
func (f *filter) DecodeHeaders(h *http.HeaderMap, end bool) http.HeadersStatus {
	if off, _ := http.RouteConfig[disabled](f.cb); end || bool(off) || !http.IsGRPC(h) {
		return http.HeadersContinue
	}
	f.on, f.client = true, h.Get(http.ContentType)
	h.Set(http.ContentType, f.contentType)
	h.Set(http.Accept, f.contentType)
	if f.noFrames {
		adjustLength(h, -frame)
	}
	f.cb.ClearRouteCache()
	return http.HeadersContinue
}

// adjustLength changes the content length, when there is one.
func adjustLength(h *http.HeaderMap, by int64) {
	if n, err := strconv.ParseInt(h.Get(http.ContentLength), 10, 63); err == nil && n+by >= 0 {
		h.SetInt(http.ContentLength, n+by)
	}
}

// DecodeData implements http.DecoderFilter.
func (f *filter) DecodeData(b *network.Buffer, _ bool) http.DataStatus {
	if !f.on || !f.noFrames || f.stripped {
		return http.DataContinue
	}
	if b.Len() < frame {
		f.refuse("invalid request body", grpc.Unknown, "grpc_bridge_data_too_small")
		return http.DataStopNoBuffer
	}
	b.Drain(frame)
	f.stripped = true
	return http.DataContinue
}

// DecodeTrailers implements http.DecoderFilter.
func (*filter) DecodeTrailers(*http.HeaderMap) http.TrailersStatus { return http.TrailersContinue }

func (f *filter) refuse(message string, code int, details string) {
	f.cb.SendLocalReply(200, message, nil, code, details)
}

// EncodeHeaders implements http.EncoderFilter.
func (f *filter) EncodeHeaders(h *http.HeaderMap, end bool) http.HeadersStatus {
	if !f.on {
		return http.HeadersContinue
	}
	status := h.Get(http.Status)
	if got := h.Get(http.ContentType); got != f.contentType {
		f.on = false // its answer is gRPC's already
		if got == "" {
			got = "no content-type header"
		} else {
			got = "unsupported content-type " + got
		}
		f.refuse("envoy reverse bridge: upstream responded with "+got+", status code "+status, grpc.Unknown, "grpc_bridge_content_type_wrong")
		return http.HeadersStopIteration
	}
	code, _ := strconv.Atoi(status)
	if f.status = http.GRPCStatus(code); code == 200 {
		f.status = grpc.OK
	}
	h.Set(http.ContentType, f.client)
	h.Set(http.Status, "200")
	switch {
	case !f.noFrames:
	case f.sizeHeader == "":
		adjustLength(h, frame)
		if end {
			h.SetInt(http.ContentLength, frame)
			f.cb.AddEncodedData(f.withFrame(f.cb.Loop().NewBuffer(), 0))
			f.setStatus(f.cb.AddEncodedTrailers())
		}
	default:
		value, _ := h.GetName(f.sizeHeader)
		n, err := strconv.ParseUint(value, 10, 32)
		if err != nil {
			f.on = false
			f.refuse("envoy reverse bridge: upstream did not set content length", grpc.Internal, "grpc_bridge_content_length_missing")
			return http.HeadersStopIteration
		}
		f.size = uint32(n)
		h.SetInt(http.ContentLength, int64(n)+frame)
	}
	return http.HeadersContinue
}

// withFrame puts the frame of a message of n bytes before b.
func (f *filter) withFrame(b *network.Buffer, n uint32) *network.Buffer {
	out := f.cb.Loop().NewBuffer()
	var head [frame]byte
	binary.BigEndian.PutUint32(head[1:], n)
	out.Append(head[:])
	out.Move(b)
	f.framed = true
	return out
}

// setStatus puts the call's status into the trailers.
func (f *filter) setStatus(t *http.HeaderMap) { t.SetInt(http.GrpcStatus, int64(f.status)) }

// EncodeData implements http.EncoderFilter.
func (f *filter) EncodeData(b *network.Buffer, end bool) http.DataStatus {
	if !f.on {
		return http.DataContinue
	}
	f.given += uint32(b.Len())
	switch {
	case !f.noFrames:
	case f.sizeHeader == "":
		if !end {
			return http.DataStopAndBuffer
		}
		f.frameWhole(b)
	default:
		if !f.framed {
			b.Move(f.withFrame(b, f.size))
		}
		if end && f.given != f.size {
			f.cb.InjectEncodedData(b, false) // the client has been promised another size
			f.refuse("envoy reverse bridge: upstream set incorrect content length", grpc.Internal, "grpc_bridge_content_length_wrong")
			return http.DataStopNoBuffer
		}
	}
	if end {
		f.setStatus(f.cb.AddEncodedTrailers())
	}
	return http.DataContinue
}

// frameWhole puts the frame before an answer of which the last is b.
func (f *filter) frameWhole(b *network.Buffer) {
	whole := f.cb.Loop().NewBuffer()
	if kept := f.cb.EncodingBuffer(); kept != nil {
		whole.Move(kept)
	}
	whole.Move(b)
	b.Move(f.withFrame(whole, f.given))
}

// EncodeTrailers implements http.EncoderFilter.
func (f *filter) EncodeTrailers(t *http.HeaderMap) http.TrailersStatus {
	if !f.on {
		return http.TrailersContinue
	}
	f.setStatus(t)
	if f.noFrames && f.sizeHeader == "" {
		b := f.cb.Loop().NewBuffer()
		f.frameWhole(b)
		f.cb.AddEncodedData(b)
	}
	return http.TrailersContinue
}
