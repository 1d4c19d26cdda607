package telemetry

import (
	"os"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	detectorsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/tracers/opentelemetry/resource_detectors/v3"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	resourcepb "go.opentelemetry.io/proto/otlp/resource/v1"

	"github.com/weirproxy/weir/internal/buildinfo"
	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/xds/protos"
)

// Detectors are the resource detectors that Resource knows, by message.
var Detectors = map[string]func(field.Path, *corev3.TypedExtensionConfig) (map[string]string, error){
	"envoy.extensions.tracers.opentelemetry.resource_detectors.v3.EnvironmentResourceDetectorConfig":  environment,
	"envoy.extensions.tracers.opentelemetry.resource_detectors.v3.StaticConfigResourceDetectorConfig": static,
}

// Resource is the OpenTelemetry resource that the proxy is: what is known of
// every weir, and what the detectors at p find. Of two that find the same
// attribute the later one wins.
func Resource(p field.Path, detectors []*corev3.TypedExtensionConfig) (*resourcepb.Resource, error) {
	found := map[string]string{"telemetry.sdk.name": "weir", "telemetry.sdk.language": "go", "telemetry.sdk.version": buildinfo.Version()}
	for i, d := range detectors {
		p := p.Index(i).Dot("typed_config")
		detect := Detectors[protos.TypeName(d.GetTypedConfig())]
		if detect == nil {
			return nil, p.Errorf("weir has no resource detector %q (%s)", d.GetName(), d.GetTypedConfig().GetTypeUrl())
		}
		attributes, err := detect(p, d)
		if err != nil {
			return nil, err
		}
		for k, v := range attributes {
			if k != "" && v != "" {
				found[k] = v
			}
		}
	}
	return &resourcepb.Resource{Attributes: Attributes(found)}, nil
}

// environment reads OTEL_RESOURCE_ATTRIBUTES: "a=b,c=d" (OpenTelemetry's
// resource SDK specification).
func environment(p field.Path, d *corev3.TypedExtensionConfig) (map[string]string, error) {
	if err := protos.Unpack(p, d.GetTypedConfig(), &detectorsv3.EnvironmentResourceDetectorConfig{}); err != nil {
		return nil, err
	}
	const variable = "OTEL_RESOURCE_ATTRIBUTES"
	out := map[string]string{}
	for pair := range strings.SplitSeq(os.Getenv(variable), ",") {
		if strings.TrimSpace(pair) == "" {
			continue
		}
		k, v, ok := strings.Cut(pair, "=")
		if !ok {
			return nil, p.Errorf("environment variable %s: %q is not key=value", variable, pair)
		}
		out[strings.TrimSpace(k)] = strings.TrimSpace(v)
	}
	return out, nil
}

func static(p field.Path, d *corev3.TypedExtensionConfig) (map[string]string, error) {
	m, err := protos.UnpackAs[*detectorsv3.StaticConfigResourceDetectorConfig](p, d.GetTypedConfig())
	if err != nil {
		return nil, err
	}
	return m.GetAttributes(), field.Only(p, m, "attributes")
}

// Attributes are strings as OpenTelemetry attributes, by key.
func Attributes(values map[string]string) []*commonpb.KeyValue {
	out := make([]*commonpb.KeyValue, 0, len(values))
	for _, k := range sortedKeys(values) {
		out = append(out, Attribute(k, values[k]))
	}
	return out
}
