package protos_test

import (
	"testing"

	udpav1 "github.com/cncf/xds/go/udpa/type/v1"
	xdsv3 "github.com/cncf/xds/go/xds/type/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	tcpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/xds/protos"
)

const tcpURL = "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy"

func TestUnpack(t *testing.T) {
	fields := structOf(t, map[string]any{"stat_prefix": "s", "cluster": "c", "idleTimeout": "1s"})
	for name, a := range map[string]*anypb.Any{
		"plain":             pack(t, &tcpv3.TcpProxy{StatPrefix: "s", ClusterSpecifier: &tcpv3.TcpProxy_Cluster{Cluster: "c"}}),
		"udpa.TypedStruct":  pack(t, &udpav1.TypedStruct{TypeUrl: tcpURL, Value: fields}),
		"xds.TypedStruct":   pack(t, &xdsv3.TypedStruct{TypeUrl: tcpURL, Value: fields}),
		"another authority": {TypeUrl: "example.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy", Value: pack(t, &tcpv3.TcpProxy{StatPrefix: "s", ClusterSpecifier: &tcpv3.TcpProxy_Cluster{Cluster: "c"}}).Value},
	} {
		got, err := protos.UnpackAs[*tcpv3.TcpProxy]("f", a)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if got.StatPrefix != "s" || got.GetCluster() != "c" {
			t.Errorf("%s: %v", name, got)
		}
		if n := protos.TypeName(a); n != "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy" {
			t.Errorf("%s: type %q", name, n)
		}
	}
}

func TestUnpackErrors(t *testing.T) {
	for _, tc := range []struct {
		any  *anypb.Any
		want string
	}{
		{nil, "filters[0].typed_config: not set"},
		{&anypb.Any{TypeUrl: "a/b.C"}, `filters[0].typed_config: want a envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy, found "a/b.C"`},
		{pack(t, &udpav1.TypedStruct{}), "filters[0].typed_config: TypedStruct: no type_url"},
		{pack(t, &udpav1.TypedStruct{TypeUrl: tcpURL, Value: structOf(t, map[string]any{"stat_prefix": "s", "access_log": []any{map[string]any{"foo": 1}}})}),
			"filters[0].typed_config.access_log[0].foo: no such field in envoy.config.accesslog.v3.AccessLog"},
		{pack(t, &tcpv3.TcpProxy{}), "filters[0].typed_config.stat_prefix: value length must be at least 1 runes"},
		{pack(t, &tcpv3.TcpProxy{StatPrefix: "s"}), "filters[0].typed_config.cluster_specifier: value is required"},
		{&anypb.Any{TypeUrl: tcpURL, Value: []byte{0x0a}}, ""},
	} {
		_, err := protos.UnpackAs[*tcpv3.TcpProxy]("filters[0].typed_config", tc.any)
		if err == nil || tc.want != "" && err.Error() != tc.want {
			t.Errorf("%v: got %v, want %s", tc.any, err, tc.want)
		}
	}
}

func TestValidateNamesTheField(t *testing.T) {
	bad := &routev3.RouteConfiguration{VirtualHosts: []*routev3.VirtualHost{
		{Name: "a", Domains: []string{"*"}},
		{Name: "b", Domains: []string{"b"}, Routes: []*routev3.Route{{Match: &routev3.RouteMatch{
			PathSpecifier: &routev3.RouteMatch_Prefix{Prefix: "/"},
			Headers:       []*routev3.HeaderMatcher{{}},
		}, Action: &routev3.Route_DirectResponse{DirectResponse: &routev3.DirectResponseAction{Status: 200}}}}},
	}}
	err := protos.Validate("route_config", bad)
	const want = "route_config.virtual_hosts[1].routes[0].match.headers[0].name: value length must be at least 1 runes"
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	var at *field.Error
	if e, ok := err.(*field.Error); ok {
		at = e
	}
	if at == nil {
		t.Errorf("the error is a %T", err)
	}
}

func pack(t *testing.T, m proto.Message) *anypb.Any {
	t.Helper()
	a, err := anypb.New(m)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func structOf(t *testing.T, m map[string]any) *structpb.Struct {
	t.Helper()
	s, err := structpb.NewStruct(m)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
