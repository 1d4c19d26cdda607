package filter_test

import (
	"encoding/base64"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/weirproxy/weir/internal/filterrig"
	"github.com/weirproxy/weir/internal/httprig"
	"github.com/weirproxy/weir/proxy/filter/http/headermutation"
	"github.com/weirproxy/weir/proxy/filter/http/istioalpn"
)

// show has the upstream see a format's value as x-show.
func show(format string) string {
	return filterrig.Filter("show", headermutation.TypeURL, `mutations: {request_mutations: [{append: {header: {key: x-show, value: "`+format+`"}}}]}`)
}

func TestIstioALPN(t *testing.T) {
	r := filterrig.Start(t, httprig.Options{}, "",
		filterrig.Filter("a", istioalpn.TypeURL, "alpn_override: [{upstream_protocol: HTTP11, alpn_override: [istio-http/1.1, istio, http/1.1]}, {upstream_protocol: HTTP2, alpn_override: [istio-h2]}]"),
		show("%FILTER_STATE(envoy.network.application_protocols:PLAIN)%"))
	if a := r.Get("/"); a.Sent("x-show") != "istio-http/1.1,istio,http/1.1" {
		t.Errorf("%+v", a)
	}
}

func peerMetadata(config string) string {
	return `{name: peer, typed_config: {"@type": type.googleapis.com/udpa.type.v1.TypedStruct, type_url: type.googleapis.com/io.istio.http.peer_metadata.Config, value: {` + config + `}}}`
}

func peerHeader(t *testing.T, fields map[string]any) string {
	s, err := structpb.NewStruct(fields)
	if err != nil {
		t.Fatal(err)
	}
	b, err := proto.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(b)
}

func TestIstioPeerMetadata(t *testing.T) {
	r := filterrig.Start(t, httprig.Options{}, "",
		peerMetadata("downstream_discovery: [{istio_headers: {}}, {workload_discovery: {}}], downstream_propagation: [{istio_headers: {}}]"),
		show("%FILTER_STATE(downstream_peer:FIELD:workload)%/%FILTER_STATE(downstream_peer:FIELD:service)%"))
	header := peerHeader(t, map[string]any{"WORKLOAD_NAME": "w", "LABELS": map[string]any{"service.istio.io/canonical-name": "s"}})
	a := r.Get("/", "x-envoy-peer-metadata-id", "sidecar~1.2.3.4~a~b", "x-envoy-peer-metadata", header)
	if a.Sent("x-show") != "w/s" || a.Sent("x-envoy-peer-metadata")+a.Sent("x-envoy-peer-metadata-id") != "" {
		t.Errorf("not kept, or passed on: %+v", a)
	}
	if _, told := a.Header["X-Envoy-Peer-Metadata"]; !told {
		t.Errorf("not told in turn: %+v", a)
	}
	a = r.Get("/", "x-envoy-peer-metadata", "?")
	if a.Sent("x-show") != "/" && a.Sent("x-show") != "-/-" {
		t.Errorf("hostile: %+v", a)
	}
	if a = r.Get("/"); len(a.Header["X-Envoy-Peer-Metadata"]) != 0 {
		t.Errorf("told to a client that did not: %+v", a)
	}

	r = filterrig.Start(t, httprig.Options{}, "", peerMetadata("upstream_discovery: [{istio_headers: {}}], upstream_propagation: [{istio_headers: {skip_external_clusters: true}}]"))
	a = r.Get("/", "x-do", "header=x-envoy-peer-metadata:x")
	if !strings.Contains(a.Body, "\nx-envoy-peer-metadata: ") || len(a.Header["X-Envoy-Peer-Metadata"]) != 0 {
		t.Errorf("%+v", a)
	}
	filterrig.WantRefused(t, "downstream_discovery[0].baggage", "", peerMetadata("downstream_discovery: [{baggage: {}}]"))
	filterrig.WantRefused(t, "shared_with_upstream", "", peerMetadata("shared_with_upstream: true"))
}
