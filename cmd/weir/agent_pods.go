package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/weirproxy/weir/agent"
	"github.com/weirproxy/weir/agent/pods"
)

func agentAddPodCommand(o *agent.Options) *cobra.Command {
	var spec pods.Spec
	inbound, dns := true, false
	cmd := &cobra.Command{
		Use:   "add-pod --name NAME {--netns PATH | --cgroup DIR} [flags]",
		Short: "Catch a pod's connections from now on",
		Example: `  ip netns add web
  weir agent add-pod --name web --netns /run/netns/web
  weir agent add-pod --name db --netns /proc/4711/ns/net --exclude-inbound-port 5432 --policy open`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			spec.Inbound = &inbound
			if cmd.Flags().Changed("dns") {
				spec.DNS = &dns
			}
			if err := spec.Complete(); err != nil {
				return err
			}
			if err := agent.NewClient(*o).AddPod(cmd.Context(), spec); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "pod %s is caught\n", spec.Key())
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&spec.Name, "name", "", "the pod's `NAME`")
	f.StringVar(&spec.Namespace, "namespace", "default", "the pod's `NAMESPACE`, as in Kubernetes")
	f.StringVar(&spec.Netns, "netns", "", "`PATH` of its network namespace (default that of the first process in --cgroup)")
	f.StringVar(&spec.Cgroup, "cgroup", "", "its cgroup v2 `DIR`; the programs must be effective there")
	f.Var((*addrs)(&spec.Addresses), "address", "its `IP`; may be repeated (default those of its interfaces)")
	f.StringVar((*string)(&spec.Mode), "mode", string(pods.Mark), "`MODE` by which outbound connections are caught: mark or rewrite")
	f.StringVar((*string)(&spec.Policy), "policy", string(pods.Closed), "`POLICY` for connections while the proxy is silent: closed (they fail) or open (they pass)")
	f.BoolVar(&inbound, "inbound", true, "catch connections to the pod, too")
	f.BoolVar(&dns, "dns", false, "catch what the pod asks of DNS servers (default what the agent's --dns says)")
	f.Var((*ports)(&spec.ExcludeInboundPorts), "exclude-inbound-port", "`PORT` whose inbound connections are left alone; may be repeated")
	f.BoolVar(&spec.KeepClientAddress, "keep-client-address", false, "have the pod's program see its clients' addresses (Linux 5.17)")
	excludeFlags(cmd, &spec.Exclusions)
	f.StringVar(&spec.Identity.ServiceAccount, "service-account", "", "its service account's `NAME`, for access rules, logs and control planes")
	f.StringToStringVar(&spec.Identity.Labels, "label", nil, "its labels, `KEY=VALUE`; may be repeated")
	f.StringVar(&spec.ProxyCgroup, "proxy-cgroup", "", "cgroup v2 `DIR` of a proxy that runs in the pod and listens on --outbound-port itself")
	f.Uint16Var(&spec.OutboundPort, "outbound-port", pods.DefaultOutboundPort, "`PORT` of the outbound listener")
	completeWords(cmd, "mode", string(pods.Mark), string(pods.Rewrite))
	completeWords(cmd, "policy", string(pods.Closed), string(pods.Open))
	return cmd
}

func agentRemovePodCommand(o *agent.Options) *cobra.Command {
	var namespace string
	cmd := &cobra.Command{
		Use:     "remove-pod NAME [flags]",
		Short:   "Leave a pod's connections alone from now on",
		Example: "  weir agent remove-pod web",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := agent.NewClient(*o).RemovePod(cmd.Context(), namespace, args[0]); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "pod %s is let go\n", pods.Key(namespace, args[0]))
			return nil
		},
	}
	cmd.Flags().StringVar(&namespace, "namespace", "default", "the pod's `NAMESPACE`, as in Kubernetes")
	return cmd
}
