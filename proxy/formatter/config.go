package formatter

import (
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/datasource"
)

// CompileFormatString compiles an envoy.config.core.v3.SubstitutionFormatString.
// Its content_type is the caller's: see ContentType.
func CompileFormatString(path field.Path, f *corev3.SubstitutionFormatString) (*Formatter, error) {
	if err := field.Only(path, f, "text_format", "json_format", "text_format_source", "omit_empty_values", "content_type", "formatters", "json_format_options"); err != nil {
		return nil, err
	}
	// Names are always sorted, so sort_properties changes nothing.
	if err := field.Only(path.Dot("json_format_options"), f.GetJsonFormatOptions(), "sort_properties"); err != nil {
		return nil, err
	}
	o := Options{OmitEmptyValues: f.GetOmitEmptyValues()}
	var err error
	if o.Commands, err = CompileExtensions(path.Dot("formatters"), f.GetFormatters()); err != nil {
		return nil, err
	}
	switch f.GetFormat().(type) {
	case *corev3.SubstitutionFormatString_TextFormat:
		//lint:ignore SA1019 deprecated, but Envoy obeys it
		return CompileWith(path.Dot("text_format"), f.GetTextFormat(), o)
	case *corev3.SubstitutionFormatString_TextFormatSource:
		p := path.Dot("text_format_source")
		text, err := datasource.ReadAtMost(p, f.GetTextFormatSource(), maxFormat)
		if err != nil {
			return nil, err
		}
		return CompileWith(p, text, o)
	case *corev3.SubstitutionFormatString_JsonFormat:
		return CompileJSON(path.Dot("json_format"), f.GetJsonFormat(), o)
	}
	return nil, path.Errorf("a format is required: text_format_source, json_format or text_format")
}

// ContentType is the content type of bodies made by the format.
func ContentType(f *corev3.SubstitutionFormatString) string {
	switch {
	case f.GetContentType() != "":
		return f.GetContentType()
	case f.GetJsonFormat() != nil:
		return "application/json"
	}
	return "text/plain"
}

// CompileExtensions takes the formatter extensions that name further operators.
func CompileExtensions(path field.Path, list []*corev3.TypedExtensionConfig) (Commands, error) {
	out := Commands{}
	for i, x := range list {
		p := path.Index(i)
		if err := field.Only(p, x, "name", "typed_config"); err != nil {
			return nil, err
		}
		switch url := x.GetTypedConfig().GetTypeUrl(); url {
		case "type.googleapis.com/envoy.extensions.formatter.metadata.v3.Metadata":
			// METADATA is built in, and CEL likewise.
		case "type.googleapis.com/envoy.extensions.formatter.cel.v3.Cel":
		case "type.googleapis.com/envoy.extensions.formatter.req_without_query.v3.ReqWithoutQuery":
			out["REQ_WITHOUT_QUERY"] = reqWithoutQuery
		default:
			return nil, p.Dot("typed_config").Errorf("weir has no formatter %q (%s); it has metadata, req_without_query and cel", x.GetName(), url)
		}
	}
	return out, nil
}
