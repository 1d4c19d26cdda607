package lb

import (
	"cmp"
	"reflect"
	"slices"
)

// MergeCriteria is base with the values of more, which win, sorted by key.
// base is left as it is.
func MergeCriteria(base []MetadataCriterion, more map[string]any) []MetadataCriterion {
	if len(more) == 0 {
		return base
	}
	out := make([]MetadataCriterion, 0, len(base)+len(more))
	for _, c := range base {
		if _, replaced := more[c.Key]; !replaced {
			out = append(out, c)
		}
	}
	for k, v := range more {
		out = append(out, MetadataCriterion{k, v})
	}
	slices.SortFunc(out, func(a, b MetadataCriterion) int { return cmp.Compare(a.Key, b.Key) })
	return out
}

// SameValue compares two values of metadata.
func SameValue(a, b any) bool { return reflect.DeepEqual(a, b) }
