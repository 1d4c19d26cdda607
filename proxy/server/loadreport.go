package server

import (
	"context"
	"log/slog"
	"slices"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	loadv3 "github.com/envoyproxy/go-control-plane/envoy/service/load_stats/v3"
	"google.golang.org/protobuf/proto"

	"github.com/weirproxy/weir/proxy/event"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/stats"
	"github.com/weirproxy/weir/proxy/upstream"
	"github.com/weirproxy/weir/xds"
)

// loadReporter tells a management server what load clusters carry, those that
// it asks for, as often as it asks (LRS, cluster_manager.load_stats_config). It
// belongs to main.
type loadReporter struct {
	main    *network.Loop
	status  func(context.Context) ([]upstream.Status, error)
	node    func() *corev3.Node
	log     *slog.Logger
	stats   *lrsStats
	server  xds.Sender // nil while there is no stream
	asked   *loadv3.LoadStatsResponse
	timer   *event.Timer
	tracked map[string]*tracked // by the cluster's name
}

type lrsStats struct {
	Requests  stats.Counter `stat:"requests"`
	Responses stats.Counter `stat:"responses"`
	Errors    stats.Counter `stat:"errors"`
	Retries   stats.Counter `stat:"retries"`
}

// startLoadReports does what load_stats_config asks for.
func (s *server) startLoadReports() error {
	api := s.bootstrap.GetClusterManager().GetLoadStatsConfig()
	if api == nil {
		return nil
	}
	r := newLoadReporter(s.loops[0], s.clusters.Status, s.xds.Node, s.log.get("upstream"),
		stats.NewGroup[lrsStats](s.stats, stats.Scope{Prefix: "load_reporter."}).For(0))
	return s.converse(api, xds.Dialogue{
		Path: lrsPath, Method: "/envoy.service.load_stats.v3.LoadReportingService/StreamLoadStats",
		NewMessage: func() proto.Message { return &loadv3.LoadStatsResponse{} },
		Opened:     r.opened,
		Received:   func(m proto.Message) { r.take(m.(*loadv3.LoadStatsResponse)) },
		Lost:       r.lost,
	})
}

func newLoadReporter(main *network.Loop, status func(context.Context) ([]upstream.Status, error), node func() *corev3.Node, log *slog.Logger, st *lrsStats) *loadReporter {
	r := &loadReporter{main: main, status: status, node: node, log: log, stats: st, tracked: map[string]*tracked{}}
	r.timer = main.NewTimer(r.report)
	return r
}

func (r *loadReporter) opened(to xds.Sender) {
	r.server = to
	r.send(nil)
}

func (r *loadReporter) lost(error) {
	r.server = nil
	r.stats.Errors.Inc()
	r.stats.Retries.Inc()
	r.timer.Disable()
}

// take is the server's wish: its clusters are tracked from now on.
func (r *loadReporter) take(asked *loadv3.LoadStatsResponse) {
	r.stats.Requests.Inc()
	r.asked = asked
	r.timer.Disable()
	r.read(r.track)
}

// report sends what has happened since the last report.
func (r *loadReporter) report() {
	if r.server == nil {
		return
	}
	if !r.server.Idle() {
		r.again() // the last report has not gone out: this one's load goes with the next
		return
	}
	r.read(func(all []upstream.Status) {
		if r.server == nil {
			return
		}
		var out []*endpointv3.ClusterStats
		for i := range all {
			if t := r.tracked[all[i].Info.Name]; t != nil {
				out = append(out, t.latch(&all[i], r.asked.GetReportEndpointGranularity()))
			}
		}
		r.send(out)
		r.track(all)
	})
}

// read gets the clusters' figures, which takes a moment, and goes on with them
// on main.
func (r *loadReporter) read(then func([]upstream.Status)) {
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		all, err := r.status(ctx)
		r.main.Post(func() {
			if err != nil {
				r.log.Warn("load reports: no figures", "error", err)
				r.again()
				return
			}
			then(all)
		})
	}()
}

func (r *loadReporter) send(out []*endpointv3.ClusterStats) {
	node := proto.CloneOf(r.node())
	node.ClientFeatures = append(node.ClientFeatures, "envoy.lrs.supports_send_all_clusters")
	r.server.Send(&loadv3.LoadStatsRequest{Node: node, ClusterStats: out})
	r.stats.Responses.Inc()
}

// track starts the next period: of clusters that are new, what was before does
// not count.
func (r *loadReporter) track(all []upstream.Status) {
	old := r.tracked
	r.tracked = map[string]*tracked{}
	for i := range all {
		s := &all[i]
		if !r.asked.GetSendAllClusters() && !slices.Contains(r.asked.GetClusters(), s.Info.Name) {
			continue
		}
		t := old[s.Info.Name]
		if t == nil {
			t = &tracked{}
			t.latch(s, false)
		}
		r.tracked[s.Info.Name] = t
	}
	r.again()
}

func (r *loadReporter) again() {
	if r.asked != nil && r.server != nil {
		r.timer.Enable(max(r.asked.GetLoadReportingInterval().AsDuration(), time.Millisecond))
	}
}
