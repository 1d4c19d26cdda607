package extauthz

import (
	"slices"
	"strings"
	"unicode/utf8"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/weirproxy/weir/proxy/formatter"
	"github.com/weirproxy/weir/proxy/grpc"
	"github.com/weirproxy/weir/proxy/grpc/authz"
	"github.com/weirproxy/weir/proxy/http"
)

// grpcService is an envoy.service.auth.v3.Authorization service.
type grpcService struct{ service *grpc.Service }

func (s *grpcService) http() bool { return false }

// check implements service.
func (s *grpcService) check(f *filter) func() {
	request, err := proto.Marshal(&authv3.CheckRequest{Attributes: f.attributes()})
	if err != nil {
		f.later(&verdict{})
		return f.cancel
	}
	f.call = s.service.For(&formatter.Context{Info: f.cb.StreamInfo()}).Call(f.client, authz.CheckMethod, request, f.cb.Connection(), func(response []byte, st grpc.Status) {
		f.onVerdict(grpcVerdict(authz.Read(response, st)))
	})
	return f.call.Cancel
}

// attributes describe the request to the server.
func (f *filter) attributes() *authv3.AttributeContext {
	info := f.cb.StreamInfo()
	a := authz.Peers(info.DownstreamLocal, f.cb.Connection().RemoteAddress(), info.DownstreamTLS(), authz.Options{PeerCertificate: f.peerCertificate, TLSSession: f.tlsSession})
	a.ContextExtensions = f.extensions
	a.Request = &authv3.AttributeContext_Request{Time: timestamppb.New(info.Start), Http: f.httpAttributes()}
	a.MetadataContext, a.RouteMetadataContext = authz.Metadata(f.metadata, info.ConnectionMetadata(), info.Metadata), &corev3.Metadata{}
	authz.AddTyped(a.MetadataContext, f.typedMetadata, info.TypedMetadata)
	a.Destination.Labels = f.labels
	if len(f.routeMetadata) > 0 {
		if r, ok := f.cb.Route().(interface {
			Metadata() map[string]map[string]any
		}); ok {
			a.RouteMetadataContext = authz.Metadata(f.routeMetadata, r.Metadata())
		}
	}
	return a
}

func (f *filter) httpAttributes() *authv3.AttributeContext_HttpRequest {
	h := f.cb.RequestHeaders()
	x := &authv3.AttributeContext_HttpRequest{
		Id: h.Get(http.XRequestID), Method: text(h.Get(http.Method)), Path: text(h.Get(http.Path)), Host: text(h.Get(http.Authority)), Scheme: text(h.Get(http.Scheme)),
		Protocol: f.cb.StreamInfo().Protocol, Size: int64(f.cb.StreamInfo().BytesReceived),
	}
	if f.rawHeaders {
		x.HeaderMap = &corev3.HeaderMap{}
		for l := range h.All {
			if f.sends(l) {
				x.HeaderMap.Headers = append(x.HeaderMap.Headers, &corev3.HeaderValue{Key: text(l.Name), RawValue: []byte(l.Value)})
			}
		}
		if f.settings != nil {
			x.HeaderMap.Headers = append(x.HeaderMap.Headers, &corev3.HeaderValue{Key: "x-envoy-auth-partial-body", RawValue: []byte(map[bool]string{true: "true", false: "false"}[f.partial])})
		}
	} else {
		x.Headers = map[string]string{}
		for name, value := range f.headers {
			x.Headers[text(name)] = text(value)
		}
	}
	if f.settings != nil {
		if f.settings.bytes {
			x.RawBody = f.body
		} else {
			x.Body = text(string(f.body))
		}
	}
	return x
}

// text makes s fit for a protobuf string, which must be UTF-8.
func text(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return strings.ToValidUTF8(s, "!")
}

// grpcVerdict reads a server's answer.
func grpcVerdict(m *authv3.CheckResponse, o authz.Outcome) *verdict {
	v := &verdict{outcome: o, metadata: m.GetDynamicMetadata().AsMap()}
	switch o {
	case authz.Failed:
		e := m.GetErrorResponse()
		v.status, v.body, v.response = int(e.GetStatus().GetCode()), e.GetBody(), denialHeaders(e.GetHeaders())
		return v
	case authz.Denied:
		d := m.GetDeniedResponse()
		v.status, v.body, v.response = 403, d.GetBody(), denialHeaders(d.GetHeaders())
		if c := d.GetStatus().GetCode(); c != 0 {
			v.status = int(c)
		}
		return v
	}
	ok := m.GetOkResponse()
	v.request, v.response = changes(ok.GetHeaders(), false), changes(ok.GetResponseHeadersToAdd(), true)
	for _, name := range ok.GetHeadersToRemove() {
		v.remove = append(v.remove, strings.ToLower(name))
	}
	for _, q := range ok.GetQueryParametersToSet() {
		v.querySet = append(v.querySet, [2]string{q.GetKey(), q.GetValue()})
	}
	v.queryRemove = ok.GetQueryParametersToRemove()
	//lint:ignore SA1019 deprecated, but Envoy obeys it
	if d := ok.GetDynamicMetadata(); d != nil {
		v.metadata = d.AsMap()
	}
	return v
}

// denialHeaders are the headers of an answer; those to be appended are left
// out, as there is nothing that they could be appended to.
func denialHeaders(list []*corev3.HeaderValueOption) []change {
	return slices.DeleteFunc(changes(list, false), func(c change) bool { return c.action == appendTo })
}

// changes are the headers to change. Envoy takes append_action only for those
// of the response: for the request's, and a denial's, append alone decides. It
// does not look at raw_value.
func changes(list []*corev3.HeaderValueOption, response bool) []change {
	var out []change
	for _, o := range list {
		c := change{name: strings.ToLower(o.GetHeader().GetKey()), value: o.GetHeader().GetValue()}
		//lint:ignore SA1019 deprecated, but Envoy obeys it
		switch a := o.GetAppend(); {
		case a.GetValue() && response:
			c.action = add
		case a.GetValue():
			c.action = appendTo
		case a == nil && response:
			c.action = responseActions[o.GetAppendAction()]
		}
		out = append(out, c)
	}
	return out
}

var responseActions = map[corev3.HeaderValueOption_HeaderAppendAction]action{
	corev3.HeaderValueOption_ADD_IF_ABSENT:              addIfAbsent,
	corev3.HeaderValueOption_OVERWRITE_IF_EXISTS:        overwrite,
	corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD: set,
	corev3.HeaderValueOption_APPEND_IF_EXISTS_OR_ADD:    add,
}
