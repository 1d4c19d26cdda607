package setmetadata

import (
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/stats"
	"github.com/weirproxy/weir/proxy/streaminfo"
)

// Stats are at http.<stat_prefix>.set_metadata.
type Stats struct {
	OverwriteDenied stats.Counter `stat:"overwrite_denied"`
}

type value struct {
	namespace string
	fields    map[string]any
	typed     *streaminfo.TypedMessage // instead of fields when not nil
	overwrite bool                     // merge with what is there
}

type factory struct {
	values []value
	group  *stats.Group[Stats]
}

// New implements http.FilterFactory.
func (f *factory) New(w int, cb http.FilterCallbacks) http.StreamFilter {
	return &filter{cb: cb, values: f.values, stats: f.group.For(w)}
}

// Close ends the statistics.
func (f *factory) Close() { f.group.Close() }

type filter struct {
	http.PassRequestBody
	cb     http.FilterCallbacks
	values []value
	stats  *Stats
}

// DecodeHeaders implements http.DecoderFilter.
func (f *filter) DecodeHeaders(*http.HeaderMap, bool) http.HeadersStatus {
	i := f.cb.StreamInfo()
	for n := range f.values {
		v := &f.values[n]
		if v.typed != nil {
			if _, there := i.TypedMetadata[v.namespace]; there && !v.overwrite {
				f.stats.OverwriteDenied.Inc()
				continue
			}
			i.SetTypedMetadata(v.namespace, *v.typed)
			continue
		}
		if _, there := i.Metadata[v.namespace]; there && !v.overwrite {
			f.stats.OverwriteDenied.Inc()
			continue
		}
		merge(i.MetadataOf(v.namespace), v.fields)
	}
	return http.HeadersContinue
}

// merge puts src into dst: objects are merged, lists appended to, all else
// replaced. What dst gets is its own.
func merge(dst, src map[string]any) {
	for k, v := range src {
		switch v := v.(type) {
		case map[string]any:
			old, ok := dst[k].(map[string]any)
			if !ok {
				old = make(map[string]any, len(v))
				dst[k] = old
			}
			merge(old, v)
		case []any:
			old, _ := dst[k].([]any)
			dst[k] = append(old[:len(old):len(old)], v...)
		default:
			dst[k] = v
		}
	}
}

// OnDestroy implements http.StreamFilter.
func (*filter) OnDestroy() {}

// Recycle implements http.Recycler.
func (*filter) Recycle() {}
