package server

import (
	"time"

	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/weirproxy/weir/proxy/upstream"
	"github.com/weirproxy/weir/proxy/upstream/cluster"
)

// tracked is a cluster that is reported, and what was reported of it.
type tracked struct {
	since                 time.Time
	hosts                 map[*cluster.Host]cluster.HostStats
	dropped, dropOverload uint64
}

// latch is the cluster's load since the last call.
func (t *tracked) latch(s *upstream.Status, endpoints bool) *endpointv3.ClusterStats {
	now := time.Now()
	out := &endpointv3.ClusterStats{ClusterName: s.Info.Name, ClusterServiceName: s.EDSName, LoadReportInterval: durationpb.New(now.Sub(t.since))}
	t.since = now
	out.TotalDroppedRequests, t.dropped = s.Dropped-t.dropped, s.Dropped
	if n := s.DropOverload - t.dropOverload; n > 0 {
		out.DroppedRequests = []*endpointv3.ClusterStats_DroppedRequests{{Category: s.DropCategory, DroppedCount: n}}
	}
	t.dropOverload = s.DropOverload
	before := t.hosts
	t.hosts = make(map[*cluster.Host]cluster.HostStats, len(s.Hosts))
	type key struct {
		priority uint32
		locality cluster.Locality
	}
	groups := map[key]*endpointv3.UpstreamLocalityStats{}
	for _, h := range s.Hosts {
		t.hosts[h.Host] = h.Stats
		was := before[h.Host]
		ok, failed, issued := uint64(h.Stats.RqSuccess-was.RqSuccess), uint64(h.Stats.RqError-was.RqError), uint64(h.Stats.RqTotal-was.RqTotal)
		active := uint64(max(h.Stats.RqActive.Value(), 0))
		if ok+failed+issued+active == 0 {
			continue
		}
		k := key{h.Priority, *h.Locality}
		l := groups[k]
		if l == nil {
			l = &endpointv3.UpstreamLocalityStats{Locality: localityProto(h.Locality), Priority: h.Priority}
			groups[k] = l
			out.UpstreamLocalityStats = append(out.UpstreamLocalityStats, l)
		}
		l.TotalSuccessfulRequests += ok
		l.TotalErrorRequests += failed
		l.TotalIssuedRequests += issued
		l.TotalRequestsInProgress += active
		if endpoints {
			l.UpstreamEndpointStats = append(l.UpstreamEndpointStats, &endpointv3.UpstreamEndpointStats{
				Address: addressOf(h.Current()), TotalSuccessfulRequests: ok, TotalErrorRequests: failed, TotalIssuedRequests: issued, TotalRequestsInProgress: active,
			})
		}
	}
	return out
}
