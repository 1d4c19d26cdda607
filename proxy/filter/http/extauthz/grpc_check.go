package extauthz

import (
	"crypto/x509"
	"slices"
	"strings"
	"unicode/utf8"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/weirproxy/weir/proxy/formatter"
	"github.com/weirproxy/weir/proxy/grpc"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/network"
)

// grpcService is an envoy.service.auth.v3.Authorization service.
type grpcService struct{ service *grpc.Service }

const checkMethod = "/envoy.service.auth.v3.Authorization/Check"

func (s *grpcService) http() bool { return false }

// check implements service.
func (s *grpcService) check(f *filter) func() {
	request, err := proto.Marshal(&authv3.CheckRequest{Attributes: f.attributes()})
	if err != nil {
		f.later(&verdict{})
		return f.cancel
	}
	call := s.service.Call(f.client, checkMethod, request, f.cb.Connection(), func(response []byte, st grpc.Status) {
		var m authv3.CheckResponse
		if st.Code != grpc.OK || proto.Unmarshal(response, &m) != nil {
			f.onVerdict(&verdict{})
			return
		}
		f.onVerdict(grpcVerdict(&m))
	})
	return call.Cancel
}

// attributes describe the request to the server.
func (f *filter) attributes() *authv3.AttributeContext {
	info := f.cb.StreamInfo()
	a := &authv3.AttributeContext{
		Source: peer(info.DownstreamRemote), Destination: peer(info.DownstreamLocal), ContextExtensions: f.extensions,
		Request:              &authv3.AttributeContext_Request{Time: timestamppb.New(info.Start), Http: f.httpAttributes()},
		MetadataContext:      metadataContext(info.Metadata, f.metadata),
		RouteMetadataContext: &corev3.Metadata{},
	}
	a.Destination.Labels = f.labels
	if len(f.routeMetadata) > 0 {
		if r, ok := f.cb.Route().(interface {
			Metadata() map[string]map[string]any
		}); ok {
			a.RouteMetadataContext = metadataContext(r.Metadata(), f.routeMetadata)
		}
	}
	tls := info.DownstreamTLS()
	if tls == nil {
		return a
	}
	a.Source.Principal = first(tls.URISANsPeer(), tls.DNSSANsPeer(), []string{tls.SubjectPeer()})
	a.Destination.Principal = first(tls.URISANsLocal())
	if x, ok := tls.(interface{ PeerCertificates() []*x509.Certificate }); ok && f.peerCertificate {
		if chain := x.PeerCertificates(); len(chain) > 0 {
			a.Source.Certificate = formatter.URLEncodedPEM(chain[0])
		}
	}
	if f.tlsSession {
		a.TlsSession = &authv3.AttributeContext_TLSSession{Sni: tls.SNI()}
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

func first(lists ...[]string) string {
	for _, l := range lists {
		if len(l) > 0 && l[0] != "" {
			return l[0]
		}
	}
	return ""
}

func peer(a network.Address) *authv3.AttributeContext_Peer {
	if !a.IsSet() {
		return &authv3.AttributeContext_Peer{}
	}
	if a.IsPipe() {
		return &authv3.AttributeContext_Peer{Address: &corev3.Address{Address: &corev3.Address_Pipe{Pipe: &corev3.Pipe{Path: a.String()}}}}
	}
	return &authv3.AttributeContext_Peer{Address: &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
		Address: a.Addr().String(), PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: uint32(a.Port())}}}}}
}

func metadataContext(all map[string]map[string]any, namespaces []string) *corev3.Metadata {
	m := &corev3.Metadata{}
	for _, ns := range namespaces {
		fields, ok := all[ns]
		if !ok {
			continue
		}
		s, err := structpb.NewStruct(fields)
		if err != nil {
			continue
		}
		if m.FilterMetadata == nil {
			m.FilterMetadata = map[string]*structpb.Struct{}
		}
		m.FilterMetadata[ns] = s
	}
	return m
}

// grpcVerdict reads a server's answer.
func grpcVerdict(m *authv3.CheckResponse) *verdict {
	v := &verdict{metadata: m.GetDynamicMetadata().AsMap()}
	if e := m.GetErrorResponse(); e != nil {
		v.status, v.body, v.response = int(e.GetStatus().GetCode()), e.GetBody(), denialHeaders(e.GetHeaders())
		return v
	}
	if m.GetStatus().GetCode() != 0 {
		d := m.GetDeniedResponse()
		v.outcome, v.status, v.body, v.response = denied, 403, d.GetBody(), denialHeaders(d.GetHeaders())
		if c := d.GetStatus().GetCode(); c != 0 {
			v.status = int(c)
		}
		return v
	}
	ok := m.GetOkResponse()
	v.outcome, v.request, v.response = allowed, changes(ok.GetHeaders(), false), changes(ok.GetResponseHeadersToAdd(), true)
	for _, name := range ok.GetHeadersToRemove() {
		v.remove = append(v.remove, strings.ToLower(name))
	}
	for _, q := range ok.GetQueryParametersToSet() {
		v.querySet = append(v.querySet, [2]string{q.GetKey(), q.GetValue()})
	}
	v.queryRemove = ok.GetQueryParametersToRemove()
	//lint:ignore SA1019 deprecated, but Envoy obeys it
	if d := ok.GetDynamicMetadata(); d != nil && len(v.metadata) == 0 {
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
// of the response: for the request's, and a denial's, append alone decides.
func changes(list []*corev3.HeaderValueOption, response bool) []change {
	var out []change
	for _, o := range list {
		c := change{name: strings.ToLower(o.GetHeader().GetKey()), value: o.GetHeader().GetValue()}
		if raw := o.GetHeader().GetRawValue(); c.value == "" && len(raw) > 0 {
			c.value = string(raw)
		}
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
	corev3.HeaderValueOption_APPEND_IF_EXISTS_OR_ADD:    set,
}
