package main

import (
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
		Long: `Run weir's data plane. It takes an Envoy bootstrap (JSON or YAML) and Envoy's
flags, serves Envoy's admin pages and works with any xDS control plane.

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
			return server.Run(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	f.StringVarP(&o.ConfigPath, "config-path", "c", "", "bootstrap file, JSON or YAML")
	f.StringVar(&o.ConfigYAML, "config-yaml", "", "bootstrap as text, merged over --config-path")
	f.StringVar(&mode, "mode", "serve", "serve, validate (check the configuration and exit) or init_only (start, then exit)")
	f.IntVar(&o.Concurrency, "concurrency", 0, "number of workers (default: the CPUs of this machine)")
	f.StringVarP(&o.LogLevel, "log-level", "l", "info", "trace, debug, info, warning, error, critical or off")
	f.StringVar(&o.ServiceNode, "service-node", "", "node id, overrides the bootstrap's")
	f.StringVar(&o.ServiceCluster, "service-cluster", "", "node cluster, overrides the bootstrap's")
	f.StringVar(&o.ServiceZone, "service-zone", "", "node zone, overrides the bootstrap's")
	f.IntVar(&drain, "drain-time-s", 600, "seconds that connections are given to end when draining")
	f.IntVar(&parent, "parent-shutdown-time-s", 900, "seconds after which a hot restart ends the old process")
	f.StringVar(&o.DrainStrategy, "drain-strategy", "gradual", "gradual or immediate")
	f.UintVar(&o.BaseID, "base-id", 0, "tells instances on one machine apart")
	f.BoolVar(&hotRestart, "disable-hot-restart", false, "accepted as Envoy's; weir has no hot restart yet")
	f.StringVar(&o.AdminAddressPath, "admin-address-path", "", "file to write the admin address to")
	f.IntVar(&flushMs, "file-flush-interval-msec", 10000, "how often access logs are written out")
	f.StringVar(&o.AgentSocket, "agent-socket", "", "socket of the node agent, which hands over the pods' sockets")
	f.StringVar(&o.OutboundListener, "outbound-listener", "outbound", "listener that takes the pods' outbound connections from the agent")
	f.StringVar(&o.DNSListener, "dns-listener", "dns", "listener whose dns_filter gives the pods' DNS names and addresses")
	f.StringVar(&o.InboundListener, "inbound-listener", "inbound", "listener that takes the pods' inbound connections from the agent")
	completeYAML(cmd, "config-path")
	completeWords(cmd, "mode", string(server.Serve), string(server.Validate), string(server.InitOnly))
	completeWords(cmd, "log-level", "trace", "debug", "info", "warning", "error", "critical", "off")
	completeWords(cmd, "drain-strategy", "gradual", "immediate")
	return cmd
}
