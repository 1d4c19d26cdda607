package main

import (
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/weirproxy/weir/agent"
	"github.com/weirproxy/weir/agent/pods/kube"
)

func agentCommand() *cobra.Command {
	o := agent.DefaultOptions()
	var kubernetes, balance, peers, takeover bool
	cluster := kube.Options{Node: os.Getenv("NODE_NAME"), Log: o.Log}
	cmd := &cobra.Command{
		Use:   "agent",
		Short: "Catch the connections of this node's pods and hand them to a proxy",
		Long: `Catch the connections of this node's pods and hand them to a proxy.

The agent loads and pins the eBPF programs, makes sockets inside the pods'
network namespaces, and gives them to every proxy that connects to its socket.
Pods come from the configuration file, from "weir agent add-pod" and, with
--kubernetes, from the API server: this node's pods whose label, or whose
namespace's, is weir.dev/catch=true.

It needs root (CAP_NET_ADMIN, CAP_SYS_ADMIN). Its end changes nothing:
pods stay caught, and the next agent takes over. "weir agent cleanup" lets them go.`,
		Example: `  weir agent --config /etc/weir/agent.yaml --proxy-uid 1337
  weir agent --kubernetes --node "$NODE_NAME" --proxy-uid 1337

  # agent.yaml
  pods:
  - name: web
    netns: /run/netns/web
    exclude_inbound_ports: [9090]`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGTERM, syscall.SIGINT)
			defer stop()
			if kubernetes {
				source, err := kube.New(cluster)
				if err != nil {
					return err
				}
				o.Sources = append(o.Sources, source)
			}
			if balance {
				services, err := kube.NewServices(cluster)
				if err != nil {
					return err
				}
				o.Services = services
			}
			if peers {
				source, err := kube.NewPeers(cluster)
				if err != nil {
					return err
				}
				o.Peers = source
			}
			return agent.Serve(ctx, o, takeover)
		},
	}
	agentPathFlags(cmd, &o)
	f := cmd.Flags()
	f.StringVar(&o.Config, "config", o.Config, "`FILE` of pods (YAML); SIGHUP reads it again")
	f.BoolVar(&kubernetes, "kubernetes", false, "manage the pods of this node that labels ask for")
	f.BoolVar(&balance, "kubernetes-services", false, "balance at connect, past the proxy, the Services with the label "+kube.LabelBalance+"=connect")
	f.BoolVar(&peers, "kubernetes-peers", false, "tell the proxy who the pods of all nodes are; each agent watches them all then")
	f.StringVar(&cluster.Node, "node", cluster.Node, "this node's `NAME` in Kubernetes (default $NODE_NAME)")
	f.StringVar(&cluster.Kubeconfig, "kubeconfig", "", "`FILE` of the cluster (default the pod's service account)")
	f.BoolVar(&takeover, "takeover", false, "ask an agent that runs already to retire, as upgrades do; without it that is an error")
	f.StringVar(&o.ProxySocket, "proxy-socket", "", "`PATH` of the socket for proxies (default RUN_DIR/proxy.sock)")
	f.StringVar(&o.Cgroup, "cgroup", o.Cgroup, "attach to this cgroup v2 `DIR` (default the root of the tree)")
	f.StringVar(&o.MetricsAddress, "metrics-address", "", "`HOST:PORT` where Prometheus is answered (/metrics) and /healthz")
	f.DurationVar(&o.MaxSilence, "max-silence", o.MaxSilence, "`DURATION` that a proxy may be silent before the pods' policy decides; 0: for ever")
	f.BoolVar(&o.DNS, "dns", false, "catch the DNS of pods that do not say whether they want it")
	f.Var((*uids)(&o.ProxyUIDs), "proxy-uid", "`USER` (name or number) whose proxies are served; may be repeated")
	excludeFlags(cmd, &o.Exclude)
	check, cleanup := agentCheckCommand(), agentCleanupCommand(&o)
	privileged(cmd, check, cleanup)
	cmd.AddCommand(agentAddPodCommand(&o), agentRemovePodCommand(&o), agentStatusCommand(&o), agentPodsCommand(&o), agentConnectionsCommand(&o), check, cleanup)
	return cmd
}

// agentPathFlags are those that the agent's subcommands share with it.
func agentPathFlags(cmd *cobra.Command, o *agent.Options) {
	f := cmd.PersistentFlags()
	f.StringVar(&o.RunDir, "run-dir", o.RunDir, "`DIR` of sockets and state")
	f.StringVar(&o.ControlSocket, "socket", "", "`PATH` of the control socket (default RUN_DIR/agent.sock)")
	f.StringVar(&o.BPFDir, "bpf-dir", o.BPFDir, "`DIR` of a bpf file system for maps and links")
}
