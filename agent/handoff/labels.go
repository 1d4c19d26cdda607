package handoff

import (
	"encoding/json"
	"maps"
	"slices"
)

// bounded is labels without those that a message has no room for. Which are
// left out depends on the labels alone, so that a pod looks the same always.
func bounded(labels map[string]string) map[string]string {
	out := make(map[string]string, min(len(labels), maxLabels))
	room := maxAllLabels
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		value := labels[name]
		size := encodedSize(name) + encodedSize(value)
		if len(out) == maxLabels || name == "" || len(name) > maxLabel || len(value) > maxLabel || size > room {
			continue
		}
		room -= size
		out[name] = value
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

// encodedSize is what s takes in a message: JSON may need six bytes for one.
func encodedSize(s string) int {
	text, err := json.Marshal(s)
	if err != nil {
		return maxMessage // strings can always be encoded
	}
	return len(text)
}
