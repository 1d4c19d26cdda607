package decode_test

import (
	"math"
	"testing"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/weirproxy/weir/xds/decode"
	_ "github.com/weirproxy/weir/xds/protos"
)

// The lenient forms on the left mean what protojson reads on the right.
func TestLenient(t *testing.T) {
	for _, tc := range []struct{ name, lenient, strict string }{
		{"one object for a repeated field", `{"health_checks": {"timeout": "1s"}}`, `{"healthChecks": [{"timeout": "1s"}]}`},
		{"duration as an object", `{"connect_timeout": {"seconds": 3, "nanos": "500000000"}}`, `{"connectTimeout": "3.5s"}`},
		{"negative duration", `{"connect_timeout": "-0.25s"}`, `{"connectTimeout": "-0.25s"}`},
		{"lower-case enum", `{"lb_policy": "ring_hash"}`, `{"lbPolicy": "RING_HASH"}`},
		{"enum as a number", `{"lb_policy": 2}`, `{"lbPolicy": "RING_HASH"}`},
		{"enum as a number in a string", `{"lb_policy": "2"}`, `{"lbPolicy": "RING_HASH"}`},
		{"names mixed", `{"altStatName": "a", "connect_timeout": "1s"}`, `{"altStatName": "a", "connectTimeout": "1s"}`},
		{"wrapper plain", `{"per_connection_buffer_limit_bytes": 5}`, `{"perConnectionBufferLimitBytes": 5}`},
		{"wrapper as an object", `{"per_connection_buffer_limit_bytes": {"value": "5.0"}}`, `{"perConnectionBufferLimitBytes": 5}`},
		{"integer with an exponent", `{"per_connection_buffer_limit_bytes": 1e3}`, `{"perConnectionBufferLimitBytes": 1000}`},
		{"boolean in a string", `{"respect_dns_ttl": "true"}`, `{"respectDnsTtl": true}`},
		{"null is not set", `{"name": null, "metadata": null}`, `{}`},
		{"null in a list is an empty element", `{"health_checks": [null, {"timeout": "1s"}]}`, `{"healthChecks": [{}, {"timeout": "1s"}]}`},
		{"escapes", `{"name": "a\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00é"}`, `{"name": "a\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00é"}`},
		{"long value moves its length", `{"metadata": {"filter_metadata": {"k": {"x": "` + long + `"}}}}`, `{"metadata": {"filterMetadata": {"k": {"x": "` + long + `"}}}}`},
		{"struct", `{"metadata": {"filter_metadata": {"k": {"n": null, "f": 1.5, "s": "x", "b": true, "c": false, "l": [1, {}, []], "o": {"p": {}}}}}}`,
			`{"metadata": {"filterMetadata": {"k": {"n": null, "f": 1.5, "s": "x", "b": true, "c": false, "l": [1, {}, []], "o": {"p": {}}}}}}`},
		{"any", `{"transport_socket": {"name": "a", "typed_config": {"sni": "b", "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"}}}`,
			`{"transportSocket": {"name": "a", "typedConfig": {"@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext", "sni": "b"}}}`},
		{"well-known type in any", `{"transport_socket": {"name": "a", "typed_config": {"value": {"seconds": 1}, "@type": "type.googleapis.com/google.protobuf.Duration"}}}`,
			`{"transportSocket": {"name": "a", "typedConfig": {"@type": "type.googleapis.com/google.protobuf.Duration", "value": "1s"}}}`},
		{"empty any", `{"transport_socket": {"name": "a", "typed_config": {}}}`, `{"transportSocket": {"name": "a", "typedConfig": {}}}`},
		{"typed struct", `{"transport_socket": {"name": "a", "typed_config": {"@type": "type.googleapis.com/udpa.type.v1.TypedStruct", "type_url": "x/y.Z", "value": {"a": [1]}}}}`,
			`{"transportSocket": {"name": "a", "typedConfig": {"@type": "type.googleapis.com/udpa.type.v1.TypedStruct", "typeUrl": "x/y.Z", "value": {"a": [1]}}}}`},
		{"map of any", `{"typed_extension_protocol_options": {"k": {"@type": "type.googleapis.com/google.protobuf.Struct", "value": {"a": 1}}}}`,
			`{"typedExtensionProtocolOptions": {"k": {"@type": "type.googleapis.com/google.protobuf.Struct", "value": {"a": 1}}}}`},
		{"bytes", `{"health_checks": [{"tcp_health_check": {"send": {"binary": "-_8"}}}]}`, `{"healthChecks": [{"tcpHealthCheck": {"send": {"binary": "+/8="}}}]}`},
		{"byte order mark", "\ufeff{}", `{}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var got, want clusterv3.Cluster
			if err := decode.Unmarshal([]byte(tc.lenient), decode.JSON, &got); err != nil {
				t.Fatal(err)
			}
			if err := protojson.Unmarshal([]byte(tc.strict), &want); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(&want, &got, protocmp.Transform()); d != "" {
				t.Error(d)
			}
		})
	}
}

const long = "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789" +
	"0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"

func TestScalars(t *testing.T) {
	var got structpb.ListValue
	if err := decode.Unmarshal([]byte(`[0, -0.5e+1, 123456789, 1E2]`), decode.JSON, &got); err != nil {
		t.Fatal(err)
	}
	for i, want := range []float64{0, -5, 123456789, 100} {
		if v := got.Values[i].GetNumberValue(); v != want {
			t.Errorf("number %d is %v, want %v", i, v, want)
		}
	}
	var rate clusterv3.Cluster_SlowStartConfig
	if err := decode.Unmarshal([]byte(`{"aggression": {"default_value": "Infinity", "runtime_key": "k"}}`), decode.JSON, &rate); err != nil {
		t.Fatal(err)
	}
	if v := rate.Aggression.DefaultValue; !math.IsInf(v, 1) {
		t.Errorf("Infinity is %v", v)
	}
}

func TestYAML(t *testing.T) {
	const doc = `
!ignore anchors:
  timeout: &t 0.25s
node:
  id: "5"          # quoted: a string
  cluster: 1.5     # not an integer: a string
  metadata: {big: 5000000000, hex: 0x10, octal: 010, on: yes, off: Off, none: ~, float: 1.5, str: '1', tagged: !!str 1}
static_resources:
  clusters:
    name: c
    connect_timeout: *t
    type: strict_dns
--- a second document
`
	const want = `{"node": {"id": "5", "cluster": "1.5",
	  "metadata": {"big": "5000000000", "hex": 16, "octal": 8, "on": true, "off": false, "none": null, "float": "1.5", "str": "1", "tagged": "1"}},
	 "staticResources": {"clusters": [{"name": "c", "connectTimeout": "0.25s", "type": "STRICT_DNS"}]}}`
	var got, wanted bootstrapv3.Bootstrap
	if err := decode.Unmarshal([]byte(doc), decode.YAML, &got); err != nil {
		t.Fatal(err)
	}
	if err := protojson.Unmarshal([]byte(want), &wanted); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(&wanted, &got, protocmp.Transform()); d != "" {
		t.Error(d)
	}
}

func TestMerge(t *testing.T) {
	var b bootstrapv3.Bootstrap
	for _, doc := range []string{
		`{"node": {"id": "a", "cluster": "b"}, "static_resources": {"clusters": [{"name": "1"}]}}`,
		`{"node": {"id": "c"}, "static_resources": {"clusters": {"name": "2"}}}`,
	} {
		if err := decode.Unmarshal([]byte(doc), decode.JSON, &b); err != nil {
			t.Fatal(err)
		}
	}
	if b.Node.Id != "c" || b.Node.Cluster != "b" || len(b.StaticResources.Clusters) != 2 {
		t.Errorf("merged: %v", &b)
	}
}

func TestFormatOf(t *testing.T) {
	for name, want := range map[string]decode.Format{"a.yaml": decode.YAML, "a.YML": decode.YAML, "a.json": decode.JSON, "a": decode.JSON} {
		if got := decode.FormatOf(name, []byte(" \n{")); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
	if got := decode.FormatOf("/dev/stdin", []byte("node:")); got != decode.YAML {
		t.Errorf("a document that begins with a key: %v", got)
	}
}

// Whatever is accepted must be what protobuf itself would write.
func FuzzUnmarshal(f *testing.F) {
	f.Add([]byte(`{"node": {"id": "\u0041", "metadata": {"a": [1, null, {"b": -1.5e3}]}}, "admin": {"address": {"pipe": {"mode": "0644"}}}}`), false)
	f.Add([]byte(`{"static_resources": {"clusters": {"connect_timeout": {"seconds": 1}, "transport_socket": {"typed_config": {"@type": "a/google.protobuf.Any", "value": {}}}}}}`), false)
	f.Add([]byte("a: &a [*a]\n"), true)
	f.Add([]byte("node: {id: !ignore x, metadata: {? [a] : b}}\nstats_flush_interval: 1s"), true)
	f.Fuzz(func(t *testing.T, doc []byte, isYAML bool) {
		format := decode.JSON
		if isYAML {
			format = decode.YAML
		}
		var b, again bootstrapv3.Bootstrap
		if decode.Unmarshal(doc, format, &b) != nil {
			return
		}
		if len(b.ProtoReflect().GetUnknown()) > 0 {
			t.Fatal("unknown fields were written")
		}
		strict, err := protojson.Marshal(&b)
		if err != nil {
			t.Skip(err) // e.g. a Duration out of range: Validate's business
		}
		if err := decode.Unmarshal(strict, decode.JSON, &again); err != nil {
			t.Fatalf("own output refused: %v\n%s", err, strict)
		}
		if !proto.Equal(normal(t, &b), normal(t, &again)) {
			t.Fatalf("%s\nreads differently the second time", strict)
		}
	})
}

// normal is m with the content of its Any fields in protobuf's field order.
func normal(t *testing.T, m proto.Message) proto.Message {
	j, err := protojson.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	n := m.ProtoReflect().New().Interface()
	if err := protojson.Unmarshal(j, n); err != nil {
		t.Fatal(err)
	}
	return n
}
