package telemetry

import (
	"maps"
	"slices"
	"strings"

	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	resourcepb "go.opentelemetry.io/proto/otlp/resource/v1"
)

// Attribute is an OpenTelemetry attribute that is a string.
func Attribute(key, value string) *commonpb.KeyValue {
	return &commonpb.KeyValue{Key: key, Value: String(value)}
}

// String is an OpenTelemetry value that is a string.
func String(s string) *commonpb.AnyValue {
	return &commonpb.AnyValue{Value: &commonpb.AnyValue_StringValue{StringValue: s}}
}

func sortedKeys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }

// Drop removes the attributes whose keys begin with prefix.
func Drop(r *resourcepb.Resource, prefix string) {
	r.Attributes = slices.DeleteFunc(r.Attributes, func(kv *commonpb.KeyValue) bool { return strings.HasPrefix(kv.GetKey(), prefix) })
}

// Default adds an attribute that r doesn't have.
func Default(r *resourcepb.Resource, key, value string) {
	for _, kv := range r.Attributes {
		if kv.GetKey() == key {
			return
		}
	}
	r.Attributes = append(r.Attributes, Attribute(key, value))
}
