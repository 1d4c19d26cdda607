package matcher

import (
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	templatematchv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/path/match/uri_template/v3"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/xds/protos"
)

// UnpackPathTemplate is the template of an extension that matches paths, of
// which there is but one: envoy.path.match.uri_template.
func UnpackPathTemplate(p field.Path, x *corev3.TypedExtensionConfig) (string, error) {
	const template = "envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig"
	if name := protos.TypeName(x.GetTypedConfig()); name != template {
		return "", p.Errorf("weir has no path matcher %q", name)
	}
	c := &templatematchv3.UriTemplateMatchConfig{}
	err := protos.Unpack(p, x.GetTypedConfig(), c)
	return c.GetPathTemplate(), err
}
