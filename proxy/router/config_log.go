package router

import (
	"time"

	routerv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/accesslog"
)

// compile reads upstream_log and upstream_log_options of the Router at p.
func (l *upstreamLog) compile(p field.Path, m *routerv3.Router, o accesslog.Options) (err error) {
	options, op := m.GetUpstreamLogOptions(), p.Dot("upstream_log_options")
	if err := field.Only(op, options, "flush_upstream_log_on_upstream_stream", "upstream_log_flush_interval"); err != nil {
		return err
	}
	l.onStream = options.GetFlushUpstreamLogOnUpstreamStream()
	if d := options.GetUpstreamLogFlushInterval(); d != nil {
		if l.every = d.AsDuration(); l.every < time.Millisecond {
			return op.Dot("upstream_log_flush_interval").Errorf("must be at least 1 ms")
		}
	}
	l.logs, err = accesslog.Compile(p.Dot("upstream_log"), m.GetUpstreamLog(), o)
	return err
}
