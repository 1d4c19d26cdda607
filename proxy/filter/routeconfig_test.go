package filter

import (
	"errors"
	"testing"

	xdsv3 "github.com/cncf/xds/go/xds/type/v3"
	bufferv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/buffer/v3"
	corsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/cors/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/route"
	"github.com/weirproxy/weir/xds/protos"
)

// TestRouteConfigs: the type of a typed_per_filter_config finds the filter
// that compiles it, also through a TypedStruct; others are refused as unknown.
func TestRouteConfigs(t *testing.T) {
	pack := func(m proto.Message) *anypb.Any {
		a, err := anypb.New(m)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	fields, err := structpb.NewStruct(map[string]any{"disabled": true})
	if err != nil {
		t.Fatal(err)
	}
	table := map[string]http.FilterMaker{
		TypeURL(pack(&bufferv3.Buffer{})): {
			RouteConfig: func(p field.Path, c *anypb.Any, _ *http.FactoryContext) (any, error) {
				m := &bufferv3.BufferPerRoute{}
				return m, protos.Unpack(p, c, m)
			},
			RouteTypeURL: TypeURL(pack(&bufferv3.BufferPerRoute{})),
		},
		TypeURL(pack(&corsv3.Cors{})): {},
	}
	compile := RouteConfigs(table, &http.FactoryContext{})
	perRoute := &bufferv3.BufferPerRoute{Override: &bufferv3.BufferPerRoute_Disabled{Disabled: true}}
	for name, c := range map[string]*anypb.Any{
		"plain": pack(perRoute),
		"typed": pack(&xdsv3.TypedStruct{TypeUrl: "type.googleapis.com/envoy.extensions.filters.http.buffer.v3.BufferPerRoute", Value: fields}),
	} {
		got, err := compile("p", name, c)
		if err != nil || !proto.Equal(got.(proto.Message), perRoute) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	for name, c := range map[string]*anypb.Any{
		"no filter":         pack(&bufferv3.BufferPerRoute{}),
		"nothing per route": pack(&corsv3.Cors{}),
		"unknown":           pack(&corsv3.CorsPolicy{}),
	} {
		_, err := compile("p", name, c)
		if unknown := errors.Is(err, route.ErrUnknownFilter); err == nil || unknown == (name == "no filter") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := compile("p", "the filter's own type", pack(&bufferv3.Buffer{})); err == nil || errors.Is(err, route.ErrUnknownFilter) {
		t.Errorf("another type of the filter's: %v", err)
	}
}
