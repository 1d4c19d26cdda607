package extauthz

import (
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/protobuf/proto"

	"github.com/weirproxy/weir/proxy/grpc/authz"
	"github.com/weirproxy/weir/proxy/network"
)

// question is what the server is asked, as bytes.
func (f *filter) question() []byte {
	var tls network.TLSInfo
	var metadata map[string]map[string]any
	if i := f.conn.Info; i != nil {
		tls, metadata = i.TLS, i.Metadata
	}
	a := authz.Peers(f.conn.LocalAddress(), f.conn.RemoteAddress(), tls, f.s.tell)
	a.MetadataContext = authz.Metadata(f.s.namespaces, metadata)
	b, _ := proto.Marshal(&authv3.CheckRequest{Attributes: a})
	return b
}
