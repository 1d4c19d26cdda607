package fraction

import (
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

func runtime(values map[string]uint64) Runtime {
	return func(key string, def uint64) uint64 {
		if v, ok := values[key]; ok {
			return v
		}
		return def
	}
}

func TestPercent(t *testing.T) {
	million := &typev3.FractionalPercent{Numerator: 250_000, Denominator: typev3.FractionalPercent_MILLION}
	for _, c := range []struct {
		name    string
		config  *corev3.RuntimeFractionalPercent
		runtime map[string]uint64
		random  uint64
		want    bool
	}{
		{"below", &corev3.RuntimeFractionalPercent{DefaultValue: million}, nil, 249_999, true},
		{"above", &corev3.RuntimeFractionalPercent{DefaultValue: million}, nil, 250_000, false},
		{"unset", nil, nil, 99, true},
		{"key without a value", &corev3.RuntimeFractionalPercent{DefaultValue: million, RuntimeKey: "k"}, nil, 250_000, false},
		{"a runtime value is a percentage", &corev3.RuntimeFractionalPercent{DefaultValue: million, RuntimeKey: "k"}, map[string]uint64{"k": 60}, 250_059, true},
		{"off by the runtime", &corev3.RuntimeFractionalPercent{DefaultValue: million, RuntimeKey: "k"}, map[string]uint64{"k": 0}, 0, false},
	} {
		p, err := NewPercent("p", c.config, Of(100, 100), runtime(c.runtime))
		if err != nil {
			t.Fatal(err)
		}
		if got := p.Picks(c.random); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
	if none := (Percent{}); none.Picks(0) {
		t.Error("the zero value takes a request")
	}
}

func TestFlag(t *testing.T) {
	off := &corev3.RuntimeFeatureFlag{DefaultValue: wrapperspb.Bool(false), RuntimeKey: "k"}
	for _, c := range []struct {
		config  *corev3.RuntimeFeatureFlag
		runtime map[string]uint64
		want    bool
	}{{nil, nil, true}, {off, nil, false}, {off, map[string]uint64{"k": 1}, true}} {
		f, err := NewFlag("p", c.config, runtime(c.runtime))
		if err != nil {
			t.Fatal(err)
		}
		if f.On() != c.want {
			t.Errorf("%v with %v: %v", c.config, c.runtime, f.On())
		}
	}
}

// TestShares: a share in the runtime has its own denominator, and is no number.
func TestShares(t *testing.T) {
	runtime := Runtime(func(key string, def uint64) uint64 {
		switch key {
		case "share":
			return Share(1, 1_000_000)
		case "number":
			return 7
		}
		return def
	})
	for key, want := range map[string][2]uint64{"share": {1, 1_000_000}, "number": {7, 100}} {
		if n, d, ok := runtime.Share(key); !ok || n != want[0] || d != want[1] {
			t.Errorf("%s: %d of %d, %v", key, n, d, ok)
		}
	}
	if _, _, ok := runtime.Share("other"); ok {
		t.Error("a key that is not set has a share")
	}
	if got := runtime.Get("share", 5); got != 5 {
		t.Errorf("as a number a share is %d, want the default", got)
	}
	p := Of(100, 100).WithKey("share", runtime)
	if !p.Picks(0) || p.Picks(1) || !p.Picks(1_000_000) {
		t.Error("one in a million is not picked by its own denominator")
	}
}
