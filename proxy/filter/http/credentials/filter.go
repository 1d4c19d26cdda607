package credentials

import (
	"strings"

	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/stats"
)

// Stats are at http.<stat_prefix>.credential_injector.
type Stats struct {
	Injected      stats.Counter `stat:"injected"`
	Failed        stats.Counter `stat:"failed"`
	AlreadyExists stats.Counter `stat:"already_exists"`
}

// credential is where a header's value comes from.
type credential interface {
	// Value is the credential; "" when there is none at present. Workers
	// call it.
	Value() string
	Close()
}

// factory is a CredentialInjector compiled.
type factory struct {
	header     string
	prefix     string // of the header's value
	credential credential
	overwrite  bool
	optional   bool // requests may do without
	group      *stats.Group[Stats]
}

// New implements http.FilterFactory.
func (f *factory) New(w int, cb http.FilterCallbacks) http.StreamFilter {
	return &filter{factory: f, cb: cb, stats: f.group.For(w)}
}

// Close ends the statistics and the credential's upkeep.
func (f *factory) Close() {
	f.credential.Close()
	f.group.Close()
}

type filter struct {
	http.PassRequestBody
	*factory
	cb    http.FilterCallbacks
	stats *Stats
}

// DecodeHeaders implements http.DecoderFilter.
func (f *filter) DecodeHeaders(h *http.HeaderMap, _ bool) http.HeadersStatus {
	if _, exists := h.GetName(f.header); exists && !f.overwrite {
		f.stats.AlreadyExists.Inc()
		return http.HeadersContinue
	}
	if v := strings.TrimRight(f.credential.Value(), " \t\r\n"); v != "" { // as Envoy: files end with a line break
		h.SetName(f.header, h.Concat(f.prefix, v))
		f.stats.Injected.Inc()
		return http.HeadersContinue
	}
	f.stats.Failed.Inc()
	if f.optional {
		return http.HeadersContinue
	}
	f.cb.SendLocalReply(401, "Failed to inject credential.", nil, http.NoGrpcStatus, "failed_to_inject_credential")
	return http.HeadersStopIteration
}

// OnDestroy implements http.StreamFilter.
func (*filter) OnDestroy() {}

// Recycle implements http.Recycler.
func (*filter) Recycle() {}
