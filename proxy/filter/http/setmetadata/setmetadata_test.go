package setmetadata

import (
	"reflect"
	"testing"
)

func TestMergeLeavesTheConfigurationAlone(t *testing.T) {
	first := map[string]any{"o": map[string]any{"a": 1.0}, "l": []any{1.0}, "s": "x"}
	second := map[string]any{"o": map[string]any{"b": 2.0}, "l": []any{2.0}, "s": map[string]any{"y": true}}
	for range 2 {
		dst := map[string]any{}
		merge(dst, first)
		merge(dst, second)
		want := map[string]any{"o": map[string]any{"a": 1.0, "b": 2.0}, "l": []any{1.0, 2.0}, "s": map[string]any{"y": true}}
		if !reflect.DeepEqual(dst, want) {
			t.Errorf("%v, want %v", dst, want)
		}
	}
}
