package extproc

import (
	"slices"
	"strings"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	extprocfilterv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_proc/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/weirproxy/weir/proxy/http"
)

const processMethod = "/envoy.service.ext_proc.v3.ExternalProcessor/Process"

// kind is what a message is about.
type kind uint8

const (
	headers kind = iota
	body
	trailers
	immediate
)

// reply is a ProcessingResponse read.
type reply struct {
	kind      kind
	direction direction
	replace   bool // the body that comes with the headers is the whole body
	set       []change
	remove    []string // lower case
	body      []byte
	hasBody   bool // body replaces the piece
	streamed  bool // body is a piece of its own, of a duplex stream
	end       bool // with streamed: the last
	clear     bool // clear_route_cache
	metadata  map[string]map[string]any
	mode      func(mode) mode // mode_override: changes the filter's mode; nil: none
	timeout   time.Duration   // override_message_timeout

	status     int // of an immediate response
	grpcStatus int
	details    string
}

// change is a header to set.
type change struct {
	name, value string
	append      bool // adds a line instead of replacing those there are
}

// encode makes a ProcessingRequest.
func (f *filter) encode(d direction, k kind, data []byte, end bool) []byte {
	m := &extprocv3.ProcessingRequest{ObservabilityMode: f.observe}
	switch {
	case k == headers:
		h := &extprocv3.HttpHeaders{Headers: f.headerMap(f.headersOf(d)), EndOfStream: end}
		if d == request {
			m.Request = &extprocv3.ProcessingRequest_RequestHeaders{RequestHeaders: h}
		} else {
			m.Request = &extprocv3.ProcessingRequest_ResponseHeaders{ResponseHeaders: h}
		}
	case k == body:
		b := &extprocv3.HttpBody{Body: data, EndOfStream: end}
		if d == request {
			m.Request = &extprocv3.ProcessingRequest_RequestBody{RequestBody: b}
		} else {
			m.Request = &extprocv3.ProcessingRequest_ResponseBody{ResponseBody: b}
		}
	case d == request:
		m.Request = &extprocv3.ProcessingRequest_RequestTrailers{RequestTrailers: &extprocv3.HttpTrailers{Trailers: f.headerMap(f.cb.RequestTrailers())}}
	default:
		m.Request = &extprocv3.ProcessingRequest_ResponseTrailers{ResponseTrailers: &extprocv3.HttpTrailers{Trailers: f.headerMap(f.cb.ResponseTrailers())}}
	}
	if !f.told && !f.observe {
		f.told = true
		m.ProtocolConfig = &extprocv3.ProtocolConfiguration{RequestBodyMode: wireModes[f.now[request].body], ResponseBodyMode: wireModes[f.now[response].body],
			SendBodyWithoutWaitingForHeaderResponse: f.sendEarly}
	}
	if values := f.attributes(d); len(values) > 0 {
		if x, err := structpb.NewStruct(values); err == nil {
			m.Attributes = map[string]*structpb.Struct{attributesKey: x}
		}
	}
	m.MetadataContext = f.metadataContext()
	out, _ := proto.Marshal(m) // its strings are valid
	return out
}

// attributesKey is what attributes are sent under, whatever the filter's name.
const attributesKey = "envoy.filters.http.ext_proc"

var wireModes = map[bodyMode]extprocfilterv3.ProcessingMode_BodySendMode{
	none: extprocfilterv3.ProcessingMode_NONE, streamed: extprocfilterv3.ProcessingMode_STREAMED, buffered: extprocfilterv3.ProcessingMode_BUFFERED,
	bufferedPartial: extprocfilterv3.ProcessingMode_BUFFERED_PARTIAL, duplex: extprocfilterv3.ProcessingMode_FULL_DUPLEX_STREAMED,
}

func (f *filter) headerMap(h *http.HeaderMap) *corev3.HeaderMap {
	out := &corev3.HeaderMap{}
	for l := range h.All {
		if !matches(f.disallowed, l.Name) && (len(f.allowed) == 0 || matches(f.allowed, l.Name)) {
			out.Headers = append(out.Headers, &corev3.HeaderValue{Key: strings.ToValidUTF8(l.Name, "!"), RawValue: []byte(l.Value)})
		}
	}
	return out
}

// decode reads a ProcessingResponse; nil when it says nothing that can be
// understood.
func (f *filter) decode(raw []byte) *reply {
	var m extprocv3.ProcessingResponse
	if proto.Unmarshal(raw, &m) != nil {
		return nil
	}
	r := &reply{timeout: m.GetOverrideMessageTimeout().AsDuration()}
	r.metadata = metadataOf(m.GetDynamicMetadata(), f.own.receive)
	if o := m.GetModeOverride(); o != nil {
		if _, err := compileMode("", o); err == nil {
			r.mode = func(m mode) mode { return overrideMode(m, o) }
		}
	}
	switch x := m.GetResponse().(type) {
	case *extprocv3.ProcessingResponse_RequestHeaders:
		r.common(request, headers, x.RequestHeaders.GetResponse())
	case *extprocv3.ProcessingResponse_ResponseHeaders:
		r.common(response, headers, x.ResponseHeaders.GetResponse())
	case *extprocv3.ProcessingResponse_RequestBody:
		r.common(request, body, x.RequestBody.GetResponse())
	case *extprocv3.ProcessingResponse_ResponseBody:
		r.common(response, body, x.ResponseBody.GetResponse())
	case *extprocv3.ProcessingResponse_RequestTrailers:
		r.kind, r.direction = trailers, request
		r.mutation(x.RequestTrailers.GetHeaderMutation())
	case *extprocv3.ProcessingResponse_ResponseTrailers:
		r.kind, r.direction = trailers, response
		r.mutation(x.ResponseTrailers.GetHeaderMutation())
	case *extprocv3.ProcessingResponse_ImmediateResponse:
		i := x.ImmediateResponse
		r.kind, r.status, r.grpcStatus, r.details, r.body = immediate, 200, http.NoGrpcStatus, i.GetDetails(), i.GetBody()
		if c := int(i.GetStatus().GetCode()); c != 0 {
			r.status = c
		}
		if g := i.GetGrpcStatus(); g != nil {
			r.grpcStatus = int(g.GetStatus())
		}
		r.mutation(i.GetHeaders())
	default:
		if r.timeout > 0 {
			r.kind = immediate + 1 // only a new timeout
			return r
		}
		return nil
	}
	return r
}

func (r *reply) common(d direction, k kind, c *extprocv3.CommonResponse) {
	r.direction, r.kind, r.clear = d, k, c.GetClearRouteCache()
	r.replace = c.GetStatus() == extprocv3.CommonResponse_CONTINUE_AND_REPLACE
	r.mutation(c.GetHeaderMutation())
	switch b := c.GetBodyMutation().GetMutation().(type) {
	case *extprocv3.BodyMutation_Body:
		r.body, r.hasBody = b.Body, true
	case *extprocv3.BodyMutation_ClearBody:
		r.hasBody = b.ClearBody
	case *extprocv3.BodyMutation_StreamedResponse:
		r.streamed, r.body, r.end = true, b.StreamedResponse.GetBody(), b.StreamedResponse.GetEndOfStream()
	}
}

func (r *reply) mutation(m *extprocv3.HeaderMutation) {
	for _, name := range m.GetRemoveHeaders() {
		r.remove = append(r.remove, strings.ToLower(name))
	}
	for _, o := range m.GetSetHeaders() {
		// Envoy looks neither at value nor at append_action here.
		c := change{name: strings.ToLower(o.GetHeader().GetKey()), value: string(o.GetHeader().GetRawValue())}
		//lint:ignore SA1019 deprecated, but Envoy obeys it
		c.append = o.GetAppend().GetValue()
		r.set = append(r.set, c)
	}
}

func metadataOf(s *structpb.Struct, allowed []string) map[string]map[string]any {
	out := map[string]map[string]any{}
	for ns, v := range s.GetFields() {
		if fields := v.GetStructValue(); fields != nil && slices.Contains(allowed, ns) {
			out[ns] = fields.AsMap()
		}
	}
	return out
}
