package router

import (
	"slices"

	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/streaminfo"
	"github.com/weirproxy/weir/proxy/upstream/cluster"
	"github.com/weirproxy/weir/proxy/upstream/lb"
)

// HashKey implements lb.Context.
func (f *filter) HashKey() (uint64, bool) {
	if f.action.Hash == nil {
		return 0, false
	}
	return f.action.Hash.Key(f.cb.RequestHeaders(), f.cb.StreamInfo(), f)
}

// DownstreamConnection implements lb.Context.
func (f *filter) DownstreamConnection() *network.Connection { return f.cb.Connection() }

// RequestHeaders implements lb.Context.
func (f *filter) RequestHeaders() *http.HeaderMap { return f.cb.RequestHeaders() }

// MetadataMatch implements lb.Context: the route's subset, with what filters
// have put into the request's metadata for it.
func (f *filter) MetadataMatch() []lb.MetadataCriterion {
	if f.subset == nil {
		f.subset = lb.MergeCriteria(f.route.MetadataMatch(), f.cb.StreamInfo().Metadata["envoy.lb"])
	}
	return f.subset
}

// StreamInfo implements lb.Context.
func (f *filter) StreamInfo() *streaminfo.Info { return f.cb.StreamInfo() }

// HostSelectionRetryCount implements lb.Context.
func (f *filter) HostSelectionRetryCount() int {
	if p := f.retries.policy; p != nil && f.attempts > 1 {
		return p.HostSelectionAttempts
	}
	return 0
}

// ShouldSelectAnotherHost implements lb.Context: retries avoid the hosts that
// the policy's predicates reject.
func (f *filter) ShouldSelectAnotherHost(h *cluster.Host) bool {
	p := f.retries.policy
	if p == nil || f.attempts <= 1 {
		return false
	}
	return p.OmitPreviousHosts && slices.Contains(f.retries.tried, h) ||
		p.OmitCanaryHosts && h.Canary() ||
		len(p.OmitMetadata) > 0 && hasMetadata(h, p.OmitMetadata)
}

// hasMetadata tells whether a host has all of these values.
func hasMetadata(h *cluster.Host, want []lb.MetadataCriterion) bool {
	have := h.Metadata()["envoy.lb"]
	for _, c := range want {
		if v, ok := have[c.Key]; !ok || !lb.SameValue(v, c.Value) {
			return false
		}
	}
	return true
}

// PriorityLoad implements lb.Context: with previous_priorities each so many
// retries the priorities that were tried are left out, until all were tried
// and it begins anew.
func (f *filter) PriorityLoad(set *cluster.PrioritySet, original *cluster.PriorityLoad) *cluster.PriorityLoad {
	p := f.retries.policy
	if p == nil || p.PreviousPriorities == 0 {
		return original
	}
	r := &f.retries
	tried := r.tried[r.begun:]
	if len(tried) < p.PreviousPriorities {
		return original
	}
	if len(tried)%p.PreviousPriorities == 0 {
		for _, h := range tried {
			r.leftOut = append(r.leftOut, h.Priority)
		}
		var any bool
		if r.load, any = set.LoadWithout(r.leftOut); !any {
			r.leftOut, r.begun = r.leftOut[:0], len(r.tried)
			if r.load, any = set.LoadWithout(nil); !any {
				r.load = nil
			}
		}
	}
	if r.load == nil {
		return original
	}
	return r.load
}
