package telemetry

import (
	"maps"
	"slices"

	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
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
