// Fields that Envoy calls deprecated but obeys are obeyed here too.
//
//lint:file-ignore SA1019 see above

package setmetadata

import (
	setmetadatav3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/set_metadata/v3"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/stats"
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
			f.values = append(f.values, value{m.GetMetadataNamespace(), m.GetValue().AsMap(), true})
		}
		for i, v := range m.GetMetadata() {
			if err := field.Only(p.Dot("metadata").Index(i), v, "metadata_namespace", "allow_overwrite", "value"); err != nil {
				return nil, err
			}
			f.values = append(f.values, value{v.GetMetadataNamespace(), v.GetValue().AsMap(), v.GetAllowOverwrite()})
		}
		f.group = stats.NewGroup[Stats](ctx.Stats, stats.Scope{Prefix: ctx.StatPrefix + "set_metadata."})
		return f, nil
	})}
}
