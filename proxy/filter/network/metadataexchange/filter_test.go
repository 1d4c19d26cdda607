package metadataexchange

import (
	"encoding/binary"
	"strings"
	"testing"

	udpav1 "github.com/cncf/xds/go/udpa/type/v1"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/structpb"
	exchange "istio.io/api/envoy/config/filter/network/metadata_exchange"

	"github.com/weirproxy/weir/proxy/stats"
)

func announced(t testing.TB) []byte {
	b, err := announce(Node{ID: "sidecar~1", Metadata: map[string]any{"NAME": "pod", "SECRET": "s", "LABELS": map[string]any{"role": "r", "app": "a"}}}, []string{"role"})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestAnnounce(t *testing.T) {
	b := announced(t)
	if binary.BigEndian.Uint32(b) != magic || int(binary.BigEndian.Uint32(b[4:])) != len(b)-headerSize {
		t.Errorf("a header of % x before %d bytes", b[:headerSize], len(b)-headerSize)
	}
	if strings.Contains(string(b), "SECRET") || !strings.Contains(string(b), "sidecar~1") || !strings.Contains(string(b), "role") {
		t.Errorf("tells %q", b)
	}
	peer, ok := parse(b[headerSize:])
	if !ok || peer.String() != "app=a,name=pod" {
		t.Errorf("%v, %v", peer, ok)
	}
	if _, ok := parse([]byte("GET / HTTP/1.1")); ok {
		t.Error("takes what is no message")
	}
}

func TestFields(t *testing.T) {
	typed := func(m proto.Message) *anypb.Any {
		a, err := anypb.New(m)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	wrapped := func(fields map[string]any) *anypb.Any {
		s, err := structpb.NewStruct(fields)
		if err != nil {
			t.Fatal(err)
		}
		return typed(&udpav1.TypedStruct{TypeUrl: TypeURL, Value: s})
	}
	for _, c := range []struct {
		config *anypb.Any
		want   string // protocol, or an error
	}{
		{typed(&exchange.MetadataExchange{Protocol: "p", EnableDiscovery: true}), "p"},
		{wrapped(map[string]any{"protocol": "p", "enable_discovery": true, "additional_labels": []any{"a"}}), "p"},
		{wrapped(map[string]any{"protocol": 1.0}), "f.protocol: 1 is of the wrong type"},
		{wrapped(map[string]any{"additional_labels": []any{1.0}}), "f.additional_labels: [1] is of the wrong type"},
		{wrapped(map[string]any{"other": 1.0}), "f.other: weir does not support"},
	} {
		s, err := compile("f", c.config, Node{}, stats.NewStore())
		got := ""
		if err != nil {
			got = err.Error()
		} else {
			got = s.protocol
		}
		if !strings.HasPrefix(got, c.want) {
			t.Errorf("got %s, want %s", got, c.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(announced(f)[headerSize:])
	f.Fuzz(func(t *testing.T, b []byte) {
		if peer, ok := parse(b); ok {
			_ = peer.String()
		}
	})
}
