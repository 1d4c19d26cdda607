package main

import (
	"runtime"
	"time"

	"github.com/spf13/cobra"

	"github.com/weirproxy/weir/proxy/server"
)

func proxyCommand() *cobra.Command {
	var o server.Options
	var mode string
	var drain, parent, flushMs int
	var hotRestart bool
	cmd := &cobra.Command{
		Use:   "proxy",
		Short: "Run the data plane from an Envoy bootstrap",
		Long: `Run the data plane from an Envoy bootstrap (JSON or YAML).

It takes Envoy's flags, serves Envoy's admin pages and works with any xDS
control plane. Of hot restarts it knows the flags only; the sockets that an
agent hands over (--agent-socket) outlive the proxy.

Signals: SIGTERM and SIGINT drain (a second one ends at once), SIGUSR1 reopens
access logs.`,
		Example: `  weir proxy -c bootstrap.yaml
  weir proxy -c bootstrap.yaml --mode validate
  weir proxy --config-yaml 'admin: {address: {socket_address: {address: 127.0.0.1, port_value: 9901}}}'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.Mode = server.Mode(mode)
			o.DrainTime, o.ParentShutdown = time.Duration(drain)*time.Second, time.Duration(parent)*time.Second
			o.FlushInterval = time.Duration(flushMs) * time.Millisecond
			// Package netns has this goroutine keep the main thread, for the
			// agent's sake. Here it is a dispatcher as the workers are, and a
			// TLS handshake begun on one may go on, or its coroutine be used
			// again, on another.
			runtime.UnlockOSThread()
			return server.Run(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	f.StringVarP(&o.ConfigPath, "config-path", "c", "", "bootstrap `FILE`, JSON or YAML")
	f.StringVar(&o.ConfigYAML, "config-yaml", "", "bootstrap as `TEXT`, merged over --config-path")
	f.StringVar(&mode, "mode", "serve", "`MODE`: serve, validate (check the configuration and exit) or init_only (start, then exit)")
	f.IntVar(&o.Concurrency, "concurrency", 0, "`NUMBER` of workers (default the CPUs of this machine)")
	f.StringVarP(&o.LogLevel, "log-level", "l", "info", "`LEVEL`: trace, debug, info, warning, error, critical or off")
	f.StringVar(&o.ServiceNode, "service-node", "", "node `ID`, overrides the bootstrap's")
	f.StringVar(&o.ServiceCluster, "service-cluster", "", "node cluster's `NAME`, overrides the bootstrap's")
	f.StringVar(&o.ServiceZone, "service-zone", "", "node zone's `NAME`, overrides the bootstrap's")
	f.IntVar(&drain, "drain-time-s", 600, "`SECONDS` that connections are given to end when draining")
	f.IntVar(&parent, "parent-shutdown-time-s", 900, "`SECONDS`; accepted as Envoy's, for its hot restart")
	f.StringVar(&o.DrainStrategy, "drain-strategy", "gradual", "`STRATEGY`: gradual or immediate")
	f.UintVar(&o.BaseID, "base-id", 0, "`ID`; accepted as Envoy's, for its hot restart")
	f.BoolVar(&hotRestart, "disable-hot-restart", false, "accepted as Envoy's")
	f.StringVar(&o.AdminAddressPath, "admin-address-path", "", "`FILE` to write the admin address to")
	f.IntVar(&flushMs, "file-flush-interval-msec", 10000, "how often access logs are written out, in `MILLISECONDS`")
	f.StringVar(&o.AgentSocket, "agent-socket", "", "`PATH` of the node agent's socket for proxies, which hands over the pods' sockets")
	f.StringVar(&o.OutboundListener, "outbound-listener", "outbound", "`NAME` of the listener that takes the pods' outbound connections from the agent")
	f.StringVar(&o.DNSListener, "dns-listener", "dns", "`NAME` of the listener whose dns_filter gives the pods' DNS names and addresses")
	f.StringVar(&o.InboundListener, "inbound-listener", "inbound", "`NAME` of the listener that takes the pods' inbound connections from the agent")
	completeYAML(cmd, "config-path")
	completeWords(cmd, "mode", string(server.Serve), string(server.Validate), string(server.InitOnly))
	completeWords(cmd, "log-level", "trace", "debug", "info", "warning", "error", "critical", "off")
	completeWords(cmd, "drain-strategy", "gradual", "immediate")
	return cmd
}
