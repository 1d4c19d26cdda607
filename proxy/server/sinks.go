package server

import (
	"context"
	"net"
	"time"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/sink"
	"github.com/weirproxy/weir/proxy/stats"
)

// sinks send the statistics of each interval to stats_sinks.
type sinks struct {
	s    *server
	list []sink.Sink
	// intervals are flushes on their way: one at a time goes out, and one
	// that comes while one waits is left out.
	intervals chan (<-chan struct{})
}

// sinkTimeout bounds what one sink may take for one interval.
const sinkTimeout = 5 * time.Second

func (s *server) makeSinks() error {
	s.sinks = &sinks{s: s, intervals: make(chan (<-chan struct{}), 1)}
	for i, m := range s.bootstrap.GetStatsSinks() {
		x, err := sink.New(field.Path("stats_sinks").Index(i), m, sink.Options{Clients: collectors{s}, DialCluster: func(ctx context.Context, name string) (net.Conn, error) { return collectors{s}.dial(ctx, name, "") }})
		if err != nil {
			return err
		}
		s.sinks.list = append(s.sinks.list, x)
	}
	return nil
}

// run sends until stop is closed.
func (x *sinks) run(stop <-chan struct{}) {
	if len(x.list) == 0 {
		return
	}
	for {
		select {
		case <-stop:
			for _, sink := range x.list {
				sink.Close()
			}
			return
		case flushed := <-x.intervals:
			<-flushed
			x.send()
		}
	}
}

func (x *sinks) send() {
	ctx, cancel := context.WithTimeout(context.Background(), sinkTimeout)
	defer cancel()
	snapshot, err := x.s.stats.Snapshot(ctx)
	if err != nil {
		x.s.main.Warn("statistics are not sent", "error", err)
		return
	}
	for _, sink := range x.list {
		x.sendTo(sink, snapshot)
	}
}

func (x *sinks) sendTo(to sink.Sink, snapshot *stats.Snapshot) {
	ctx, cancel := context.WithTimeout(context.Background(), sinkTimeout)
	defer cancel()
	if err := to.Flush(ctx, snapshot); err != nil {
		x.s.main.Debug("a statistics sink failed", "error", err)
	}
}

// flush has the interval sent that ends when flushed is closed.
func (x *sinks) flush(flushed <-chan struct{}) <-chan struct{} {
	if len(x.list) > 0 {
		select {
		case x.intervals <- flushed:
		default:
		}
	}
	return flushed
}
