package agent

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/sys/unix"

	"github.com/weirproxy/weir/internal/buildinfo"
)

// What the agent tells Prometheus. Each scrape asks for the status anew.
var (
	metricConnections = prometheus.NewDesc("weir_agent_connections_total",
		"Connections by what the eBPF programs decided.", []string{"decision"}, nil)
	metricPods = prometheus.NewDesc("weir_agent_pods",
		"Wanted pods by state.", []string{"state"}, nil)
	metricProxies = prometheus.NewDesc("weir_agent_proxies",
		"Proxies that are connected.", nil, nil)
	metricHeartbeat = prometheus.NewDesc("weir_agent_proxy_silence_seconds",
		"Time since a proxy's last heartbeat; absent before the first.", nil, nil)
	metricInfo = prometheus.NewDesc("weir_agent_info",
		"Always 1; which weir this is.", []string{"version"}, nil)
)

// collector is the agent as Prometheus sees it.
type collector struct{ agent *Agent }

// Describe implements prometheus.Collector.
func (c collector) Describe(descs chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{metricConnections, metricPods, metricProxies, metricHeartbeat, metricInfo} {
		descs <- d
	}
}

// Collect implements prometheus.Collector.
func (c collector) Collect(metrics chan<- prometheus.Metric) {
	s, err := c.agent.Status()
	if err != nil {
		metrics <- prometheus.NewInvalidMetric(metricConnections, err)
		return
	}
	for name, n := range s.Counters {
		metrics <- prometheus.MustNewConstMetric(metricConnections, prometheus.CounterValue, float64(n), name)
	}
	states := map[string]int{"caught": 0, "waiting": 0, "failed": 0}
	for _, p := range s.Pods {
		states[p.State]++
	}
	for state, n := range states {
		metrics <- prometheus.MustNewConstMetric(metricPods, prometheus.GaugeValue, float64(n), state)
	}
	metrics <- prometheus.MustNewConstMetric(metricProxies, prometheus.GaugeValue, float64(len(s.Proxies)))
	if s.SinceHeartbeat != nil {
		metrics <- prometheus.MustNewConstMetric(metricHeartbeat, prometheus.GaugeValue, *s.SinceHeartbeat)
	}
	metrics <- prometheus.MustNewConstMetric(metricInfo, prometheus.GaugeValue, 1, buildinfo.Version())
}

// listenMetrics is nil when nobody is to be answered. The port is shared with
// the agent that this one takes over from.
func (a *Agent) listenMetrics() (net.Listener, error) {
	if a.opts.MetricsAddress == "" {
		return nil, nil
	}
	share := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) (err error) {
		ctlErr := c.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) })
		return errors.Join(err, ctlErr)
	}}
	l, err := share.Listen(context.Background(), "tcp", a.opts.MetricsAddress)
	if err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	return l, nil
}

// serveMetrics answers /metrics and /healthz until ctx is done.
func (a *Agent) serveMetrics(ctx context.Context, l net.Listener) error {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collector{a}, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	server := &http.Server{Handler: mux, ReadTimeout: 10 * time.Second, ReadHeaderTimeout: 5 * time.Second}
	defer context.AfterFunc(ctx, func() { server.Close() })()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("metrics: %w", err)
	}
	return nil
}
