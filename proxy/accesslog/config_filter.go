package accesslog

import (
	accesslogv3 "github.com/envoyproxy/go-control-plane/envoy/config/accesslog/v3"
	celv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/access_loggers/filters/cel/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/formatter"
	"github.com/weirproxy/weir/proxy/matcher"
	"github.com/weirproxy/weir/proxy/streaminfo"
	"github.com/weirproxy/weir/xds/protos"
)

// maxFilterDepth bounds the nesting of and_filter and or_filter.
const maxFilterDepth = 32

// CompileFilter compiles an access log filter; local reply mappers have them too.
func CompileFilter(path field.Path, f *accesslogv3.AccessLogFilter, o Options) (Filter, error) {
	return compileFilter(path, f, o, 0)
}

func compileFilter(path field.Path, f *accesslogv3.AccessLogFilter, o Options, depth int) (Filter, error) {
	if depth > maxFilterDepth {
		return nil, path.Errorf("filters are nested deeper than %d", maxFilterDepth)
	}
	switch f := f.GetFilterSpecifier().(type) {
	case *accesslogv3.AccessLogFilter_StatusCodeFilter:
		compare, err := compileComparison(path.Dot("status_code_filter.comparison"), f.StatusCodeFilter.GetComparison(), o)
		return func(c *formatter.Context) bool { return compare(uint64(max(c.Info.ResponseCode, 0))) }, err
	case *accesslogv3.AccessLogFilter_DurationFilter:
		compare, err := compileComparison(path.Dot("duration_filter.comparison"), f.DurationFilter.GetComparison(), o)
		return func(c *formatter.Context) bool { return compare(uint64(max(c.Info.Duration(c.Now).Milliseconds(), 0))) }, err
	case *accesslogv3.AccessLogFilter_NotHealthCheckFilter:
		return notHealthCheck, nil
	case *accesslogv3.AccessLogFilter_TraceableFilter:
		return traceable, nil
	case *accesslogv3.AccessLogFilter_RuntimeFilter:
		return compileSampled(path.Dot("runtime_filter"), f.RuntimeFilter, o)
	case *accesslogv3.AccessLogFilter_AndFilter:
		filters, err := compileFilters(path.Dot("and_filter.filters"), f.AndFilter.GetFilters(), o, depth)
		return and(filters), err
	case *accesslogv3.AccessLogFilter_OrFilter:
		filters, err := compileFilters(path.Dot("or_filter.filters"), f.OrFilter.GetFilters(), o, depth)
		return or(filters), err
	case *accesslogv3.AccessLogFilter_HeaderFilter:
		m, err := matcher.NewHeader(path.Dot("header_filter.header"), f.HeaderFilter.GetHeader(), o.Regexes)
		return header(m), err
	case *accesslogv3.AccessLogFilter_ResponseFlagFilter:
		return compileFlags(path.Dot("response_flag_filter.flags"), f.ResponseFlagFilter.GetFlags())
	case *accesslogv3.AccessLogFilter_GrpcStatusFilter:
		set := map[int]bool{}
		for _, s := range f.GrpcStatusFilter.GetStatuses() {
			set[int(s)] = true
		}
		return grpcStatuses(set, f.GrpcStatusFilter.GetExclude()), nil
	case *accesslogv3.AccessLogFilter_LogTypeFilter:
		set := map[streaminfo.LogType]bool{}
		for _, t := range f.LogTypeFilter.GetTypes() {
			set[streaminfo.LogType(t)] = true
		}
		return logTypes(set, f.LogTypeFilter.GetExclude()), nil
	case *accesslogv3.AccessLogFilter_MetadataFilter:
		return compileMetadata(path.Dot("metadata_filter"), f.MetadataFilter, o)
	case *accesslogv3.AccessLogFilter_ExtensionFilter:
		return compileExtension(path.Dot("extension_filter").Dot("typed_config"), f.ExtensionFilter)
	}
	return nil, path.Errorf("a filter is required")
}

func compileFilters(path field.Path, list []*accesslogv3.AccessLogFilter, o Options, depth int) ([]Filter, error) {
	if len(list) < 2 {
		return nil, path.Errorf("at least 2 filters are required, not %d", len(list))
	}
	var out []Filter
	for i, f := range list {
		filter, err := compileFilter(path.Index(i), f, o, depth+1)
		if err != nil {
			return nil, err
		}
		out = append(out, filter)
	}
	return out, nil
}

func compileComparison(path field.Path, c *accesslogv3.ComparisonFilter, o Options) (func(uint64) bool, error) {
	if c.GetValue() == nil {
		return nil, path.Dot("value").Errorf("a value is required")
	}
	key, otherwise := c.GetValue().GetRuntimeKey(), uint64(c.GetValue().GetDefaultValue())
	value := func() uint64 { return o.runtime(key, otherwise) }
	switch c.GetOp() {
	case accesslogv3.ComparisonFilter_EQ:
		return func(n uint64) bool { return n == value() }, nil
	case accesslogv3.ComparisonFilter_GE:
		return func(n uint64) bool { return n >= value() }, nil
	case accesslogv3.ComparisonFilter_LE:
		return func(n uint64) bool { return n <= value() }, nil
	case accesslogv3.ComparisonFilter_NE:
		return func(n uint64) bool { return n != value() }, nil
	}
	return nil, path.Dot("op").Errorf("weir does not know the comparison %v", c.GetOp())
}

func compileSampled(path field.Path, f *accesslogv3.RuntimeFilter, o Options) (Filter, error) {
	if f.GetRuntimeKey() == "" {
		return nil, path.Dot("runtime_key").Errorf("a runtime key is required")
	}
	denominator := uint64(100)
	switch f.GetPercentSampled().GetDenominator() {
	case typev3.FractionalPercent_TEN_THOUSAND:
		denominator = 10_000
	case typev3.FractionalPercent_MILLION:
		denominator = 1_000_000
	}
	key, otherwise := f.GetRuntimeKey(), uint64(f.GetPercentSampled().GetNumerator())
	return sampled(func() uint64 { return o.runtime(key, otherwise) }, denominator, f.GetUseIndependentRandomness()), nil
}

func compileFlags(path field.Path, names []string) (Filter, error) {
	var flags streaminfo.Flags
	for i, name := range names {
		flag, ok := streaminfo.ParseFlag(name)
		if !ok {
			return nil, path.Index(i).Errorf("there is no response flag %q", name)
		}
		flags |= flag
	}
	return responseFlags(flags), nil
}

func compileMetadata(path field.Path, f *accesslogv3.MetadataFilter, o Options) (Filter, error) {
	// Envoy does not look at invert here, so there is nothing to agree with.
	if err := field.Only(path.Dot("matcher"), f.GetMatcher(), "filter", "path", "value"); err != nil {
		return nil, err
	}
	var keys []string
	for _, s := range f.GetMatcher().GetPath() {
		keys = append(keys, s.GetKey())
	}
	m, err := matcher.NewValue(path.Dot("matcher.value"), f.GetMatcher().GetValue(), o.Regexes)
	ifMissing := f.GetMatchIfKeyNotFound() == nil || f.GetMatchIfKeyNotFound().GetValue()
	return metadata(f.GetMatcher().GetFilter(), keys, m, ifMissing), err
}

const celFilter = "envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter"

func compileExtension(path field.Path, f *accesslogv3.ExtensionFilter) (Filter, error) {
	if protos.TypeName(f.GetTypedConfig()) != celFilter {
		return nil, path.Errorf("weir has no access log filter %q (%s)", f.GetName(), f.GetTypedConfig().GetTypeUrl())
	}
	m, err := protos.UnpackAs[*celv3.ExpressionFilter](path, f.GetTypedConfig())
	if err != nil {
		return nil, err
	}
	if err := field.Only(path, m, "expression"); err != nil {
		return nil, err
	}
	filter, err := formatter.CELFilter(m.GetExpression())
	return filter, path.Dot("expression").Wrap(err)
}
