package orca

import (
	"encoding/base64"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/weirproxy/weir/proxy/http"
)

func encoded() string {
	double := func(b []byte, n protowire.Number, v float64) []byte {
		return protowire.AppendFixed64(protowire.AppendTag(b, n, protowire.Fixed64Type), math.Float64bits(v))
	}
	e := double(protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), "q"), 2, 0.5)
	b := double(double(nil, 1, 0.25), 6, 100)
	return base64.StdEncoding.EncodeToString(protowire.AppendBytes(protowire.AppendTag(b, 8, protowire.BytesType), e))
}

func TestParse(t *testing.T) {
	want := Report{CPU: 0.25, QPS: 100, Named: map[string]float64{"named_metrics.q": 0.5}}
	for _, tt := range []struct {
		name, value string
		ok          bool
	}{
		{"endpoint-load-metrics", "TEXT cpu_utilization=0.25, rps_fractional=100,named_metrics.q=0.5", true},
		{"endpoint-load-metrics", `JSON {"cpu_utilization":0.25,"rps_fractional":100,"named_metrics":{"q":0.5}}`, true},
		{"endpoint-load-metrics", "BIN " + encoded(), true},
		{"endpoint-load-metrics-bin", encoded(), true},
		{"endpoint-load-metrics", "TEXT cpu_utilization=x", false},
		{"endpoint-load-metrics", "TEXT cpu_utilization=NaN", false},
		{"endpoint-load-metrics", "YAML x", false},
		{"endpoint-load-metrics-bin", "!", false},
		{"x", "y", false},
	} {
		var h http.HeaderMap
		h.AddName(tt.name, tt.value)
		r, ok := Parse(&h)
		if ok != tt.ok || ok && !cmp.Equal(r, want) {
			t.Errorf("%s: %s: %v %+v", tt.name, tt.value, ok, r)
		}
	}
}

func FuzzBinary(f *testing.F) {
	f.Add(encoded())
	f.Fuzz(func(t *testing.T, s string) { binary(s) })
}
