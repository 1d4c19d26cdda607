package jsontometadata

import (
	"reflect"
	"testing"
)

// TestMatch: what rules find in bodies, by kind.
func TestMatch(t *testing.T) {
	value := func(k kind) *rules {
		return &rules{list: []rule{{path: []string{"a", "v"}, present: &target{kind: k}, missing: &target{value: "missing"}}}}
	}
	for _, tc := range []struct {
		body string
		kind kind
		want any // nil: nothing
	}{
		{`{"a": {"v": "x"}}`, asIs, "x"},
		{`{"a": {"v": 12}}`, asIs, 12.0},
		{`{"a": {"v": 1.5}}`, asString, "1.500000"},
		{`{"a": {"v": 12}}`, asString, "12"},
		{`{"a": {"v": true}}`, asString, "1"},
		{`{"a": {"v": ""}}`, asString, nil},
		{`{"a": {"v": " 7 "}}`, asNumber, 7.0},
		{`{"a": {"v": "x"}}`, asNumber, nil},
		{`{"a": {"v": false}}`, asNumber, 0.0},
		{`{"a": {"v": null}}`, asIs, "missing"},
		{`{"a": {"v": {}}}`, asIs, "missing"},
		{`{"a": {}}`, asIs, "missing"},
		{`{"a": 1}`, asIs, "missing"},
		{`[]`, asIs, "missing"},
	} {
		v, err := parse([]byte(tc.body))
		if err != nil {
			t.Fatalf("%s: %v", tc.body, err)
		}
		var got any
		if c := value(tc.kind).match(v); len(c) > 0 {
			got = c[0].value
		}
		if !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%s: %v, want %v", tc.body, got, tc.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{`{"a": [1, 2.5, "x"]}`, `{"a": 12345678901234567890}`, `{} x`, "\"\xff\"", `1e999`, ``} {
		f.Add([]byte(s))
	}
	r := &rules{list: []rule{{path: []string{"a", "b"}, present: &target{}}, {path: []string{"a"}, present: &target{kind: asNumber}}}}
	f.Fuzz(func(_ *testing.T, body []byte) {
		if v, err := parse(body); err == nil {
			r.match(v)
		}
	})
}

func TestInvalid(t *testing.T) {
	for _, body := range []string{`{"v": 1`, `{"v": 1} x`, `{"v": 12345678901234567890}`, `{"v": [1e999]}`, "\"\xff\""} {
		if v, err := parse([]byte(body)); err == nil {
			t.Errorf("%s: %v", body, v)
		}
	}
}
