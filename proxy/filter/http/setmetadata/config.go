// Fields that Envoy calls deprecated but obeys are obeyed here too.
//
//lint:file-ignore SA1019 see above

package setmetadata

import (
	setmetadatav3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/set_metadata/v3"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/stats"
	"github.com/weirproxy/weir/proxy/streaminfo"
)

// TypeURL is the type of the filter's configuration.
const TypeURL = "type.googleapis.com/envoy.extensions.filters.http.set_metadata.v3.Config"

// Maker makes the filter's factories.
func Maker() http.FilterMaker {
	return http.FilterMaker{New: http.NewFrom(func(p field.Path, m *setmetadatav3.Config, ctx *http.FactoryContext) (http.FilterFactory, error) {
		if err := field.Only(p, m, "metadata_namespace", "value", "metadata"); err != nil {
			return nil, err
		}
		f := &factory{}
		if m.GetMetadataNamespace() != "" && m.GetValue() != nil {
			f.values = append(f.values, value{namespace: m.GetMetadataNamespace(), fields: m.GetValue().AsMap(), overwrite: true})
		}
		for i, v := range m.GetMetadata() {
			if err := field.Only(p.Dot("metadata").Index(i), v, "metadata_namespace", "allow_overwrite", "value", "typed_value"); err != nil {
				return nil, err
			}
			x := value{namespace: v.GetMetadataNamespace(), fields: v.GetValue().AsMap(), overwrite: v.GetAllowOverwrite()}
			if t := v.GetTypedValue(); t != nil && v.GetValue() == nil {
				x.typed = &streaminfo.TypedMessage{TypeURL: t.GetTypeUrl(), Value: t.GetValue()}
			}
			f.values = append(f.values, x)
		}
		f.group = stats.NewGroup[Stats](ctx.Stats, stats.Scope{Prefix: ctx.StatPrefix + "set_metadata."})
		return f, nil
	})}
}
