package authz

import (
	"crypto/x509"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/weirproxy/weir/proxy/formatter"
	"github.com/weirproxy/weir/proxy/grpc"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/streaminfo"
)

// CheckMethod is the method that servers are asked by.
const CheckMethod = "/envoy.service.auth.v3.Authorization/Check"

// Outcome is what an authorization server, or its failure, decides.
type Outcome uint8

const (
	Failed Outcome = iota
	Allowed
	Denied
)

// Read reads the answer of a call. m is nil when there is none; a server may
// also say itself that it has failed.
func Read(response []byte, st grpc.Status) (m *authv3.CheckResponse, o Outcome) {
	m = &authv3.CheckResponse{}
	switch {
	case st.Code != grpc.OK || proto.Unmarshal(response, m) != nil:
		return nil, Failed
	case m.GetErrorResponse() != nil:
		return m, Failed
	case m.GetStatus().GetCode() != grpc.OK:
		return m, Denied
	}
	return m, Allowed
}

// Options say how much a server is told.
type Options struct {
	PeerCertificate bool // the client's certificate, if it has shown one
	TLSSession      bool // the SNI
}

// Peers describes a connection's two ends; tls is nil on a plain one.
func Peers(local, remote network.Address, tls network.TLSInfo, o Options) *authv3.AttributeContext {
	a := &authv3.AttributeContext{Source: peer(remote), Destination: peer(local)}
	if o.TLSSession {
		a.TlsSession = &authv3.AttributeContext_TLSSession{}
	}
	if tls == nil {
		return a
	}
	a.Source.Principal = first(tls.URISANsPeer(), tls.DNSSANsPeer(), []string{tls.SubjectPeer()})
	a.Destination.Principal = first(tls.URISANsLocal())
	if x, ok := tls.(interface{ PeerCertificates() []*x509.Certificate }); ok && o.PeerCertificate {
		if chain := x.PeerCertificates(); len(chain) > 0 {
			a.Source.Certificate = formatter.URLEncodedPEM(chain[0])
		}
	}
	if o.TLSSession {
		a.TlsSession.Sni = tls.SNI()
	}
	return a
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

// Metadata is the part of metadata that lies in these namespaces. Where several
// sources have a namespace the last one's counts.
func Metadata(namespaces []string, sources ...map[string]map[string]any) *corev3.Metadata {
	m := &corev3.Metadata{}
	for _, all := range sources {
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
	}
	return m
}

// AddTyped adds to m the typed metadata that lies in these namespaces.
func AddTyped(m *corev3.Metadata, namespaces []string, all map[string]streaminfo.TypedMessage) {
	for _, ns := range namespaces {
		x, ok := all[ns]
		if !ok {
			continue
		}
		if m.TypedFilterMetadata == nil {
			m.TypedFilterMetadata = map[string]*anypb.Any{}
		}
		m.TypedFilterMetadata[ns] = &anypb.Any{TypeUrl: x.TypeURL, Value: x.Value}
	}
}
