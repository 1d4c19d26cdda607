package grpcstats

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/weirproxy/weir/proxy/callstats"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/network"
)

// StateKey is the name of the call's Messages in the filter state.
const StateKey = "envoy.filters.http.grpc_stats"

type factory struct {
	tables       *callstats.Tables
	allMethods   bool
	methods      map[method]bool // counted each by itself
	state        bool
	upstreamTime bool
	replaceDots  bool
}

type method struct{ service, name string }

// New implements http.FilterFactory.
func (f *factory) New(_ int, cb http.FilterCallbacks) http.StreamFilter {
	return &filter{f: f, cb: cb}
}

// Close ends the statistics.
func (f *factory) Close() { f.tables.Close() }

type filter struct {
	f  *factory
	cb http.FilterCallbacks
	call
}

// call is what is zero when a stream begins.
type call struct {
	stats             *callstats.Stats // nil: not counted
	grpc              bool             // the request is gRPC
	grpcResponse      bool
	request, response callstats.Frames
	messages          *Messages // nil: nobody asks
}

// DecodeHeaders implements http.DecoderFilter.
func (f *filter) DecodeHeaders(h *http.HeaderMap, _ bool) http.HeadersStatus {
	if f.grpc = http.IsGRPC(h); f.grpc {
		f.stats = f.find(h)
	}
	return http.HeadersContinue
}

// find is where the call is counted: at its method, or at its cluster.
func (f *filter) find(h *http.HeaderMap) *callstats.Stats {
	table, cluster, ok := f.f.tables.Of(f.cb)
	if !ok {
		return nil
	}
	m, named := callstats.ParseMethod(h.Get(http.Path))
	switch {
	case f.f.allMethods && !named:
		return nil
	case f.f.allMethods, named && f.f.methods[method{m.Service, m.Name}]:
		if f.f.replaceDots {
			m = m.ReplaceDots()
		}
		return table.Method(cluster, m)
	}
	return table.Cluster(cluster)
}

// DecodeData implements http.DecoderFilter.
func (f *filter) DecodeData(b *network.Buffer, _ bool) http.DataStatus {
	if f.grpc {
		if n := f.request.Add(b); n > 0 {
			f.note(n, 0)
			if f.stats != nil {
				f.stats.RequestMessageCount.Add(n)
			}
		}
	}
	return http.DataContinue
}

// DecodeTrailers implements http.DecoderFilter.
func (*filter) DecodeTrailers(*http.HeaderMap) http.TrailersStatus { return http.TrailersContinue }

// EncodeHeaders implements http.EncoderFilter.
func (f *filter) EncodeHeaders(h *http.HeaderMap, end bool) http.HeadersStatus {
	f.grpcResponse = http.IsGRPCResponse(h, end)
	f.stats.Ended(h.Get(http.GrpcStatus))
	if end {
		f.countTime()
	}
	return http.HeadersContinue
}

// EncodeData implements http.EncoderFilter.
func (f *filter) EncodeData(b *network.Buffer, _ bool) http.DataStatus {
	if f.grpcResponse {
		if n := f.response.Add(b); n > 0 {
			f.note(0, n)
			if f.stats != nil {
				f.stats.ResponseMessageCount.Add(n)
			}
		}
	}
	return http.DataContinue
}

// EncodeTrailers implements http.EncoderFilter.
func (f *filter) EncodeTrailers(t *http.HeaderMap) http.TrailersStatus {
	f.stats.Ended(t.Get(http.GrpcStatus))
	f.countTime()
	return http.TrailersContinue
}

// countTime records how long the upstream took.
func (f *filter) countTime() {
	i := f.cb.StreamInfo()
	if f.stats == nil || !f.f.upstreamTime || i.LastUpstreamTxByte == 0 || i.LastUpstreamRxByte == 0 {
		return
	}
	f.stats.UpstreamRqTime.Record(uint64(max(0, i.LastUpstreamRxByte-i.LastUpstreamTxByte) / time.Millisecond))
}

// note counts messages in the filter state.
func (f *filter) note(request, response uint64) {
	if !f.f.state {
		return
	}
	if f.messages == nil {
		f.messages = &Messages{}
		f.cb.StreamInfo().SetFilterState(StateKey, f.messages)
	}
	f.messages.Request += request
	f.messages.Response += response
}

// OnDestroy implements http.StreamFilter.
func (*filter) OnDestroy() {}

// Recycle implements http.Recycler.
func (f *filter) Recycle() { f.call = call{} }

// Messages are a call's numbers of messages, in the filter state.
type Messages struct{ Request, Response uint64 }

// String implements streaminfo.FilterStateObject.
func (m *Messages) String() string {
	return strconv.FormatUint(m.Request, 10) + "," + strconv.FormatUint(m.Response, 10)
}

// TypedJSON is the object as the JSON of a FilterObject
// (envoy.extensions.filters.http.grpc_stats.v3).
func (m *Messages) TypedJSON() string {
	var fields []string
	if m.Request > 0 {
		fields = append(fields, fmt.Sprintf(`"requestMessageCount":"%d"`, m.Request))
	}
	if m.Response > 0 {
		fields = append(fields, fmt.Sprintf(`"responseMessageCount":"%d"`, m.Response))
	}
	return "{" + strings.Join(fields, ",") + "}"
}

// Field implements streaminfo.FilterStateObject; Envoy's has none.
func (m *Messages) Field(string) (string, bool) { return "", false }
