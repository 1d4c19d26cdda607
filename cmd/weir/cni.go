package main

import (
	"log/slog"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/weirproxy/weir/agent"
	"github.com/weirproxy/weir/agent/cni"
)

func cniCommand() *cobra.Command {
	i := cni.Install{Log: slog.Default()}
	cmd := &cobra.Command{
		Use:   "cni",
		Short: "Install the CNI plugin, or remove it",
		Long: `Install the CNI plugin, or remove it.

The plugin has a pod caught before its first container runs. It is this
program under the name ` + cni.Binary + `, chained behind the node's other plugins.`,
	}
	f := cmd.PersistentFlags()
	f.StringVar(&i.BinDir, "bin-dir", "/opt/cni/bin", "`DIR` where the container runtime finds plugins")
	f.StringVar(&i.ConfDir, "conf-dir", "/etc/cni/net.d", "`DIR` of the runtime's network configurations")

	install := &cobra.Command{
		Use:   "install",
		Short: "Install the plugin and keep it installed",
		Example: `  weir cni install
  weir cni install --bin-dir /host/opt/cni/bin --conf-dir /host/etc/cni/net.d`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGTERM, syscall.SIGINT)
			defer stop()
			return i.Keep(ctx)
		},
	}
	f = install.Flags()
	f.StringVar(&i.RunDir, "run-dir", agent.DefaultRunDir, "the agent's `DIR` of sockets, as the node sees it")
	f.StringVar(&i.OnError, "on-error", "fail", "`ACTION` for a pod that cannot be caught: fail (it does not start) or allow")
	f.StringSliceVar(&i.ExcludeNamespaces, "exclude-namespace", []string{"kube-system"}, "`NAMESPACE` whose pods are left alone; may be repeated")
	completeWords(install, "on-error", "fail", "allow")
	remove := &cobra.Command{
		Use:     "remove",
		Short:   "Take the plugin out of the network configuration, and remove it",
		Example: "  weir cni remove",
		Args:    cobra.NoArgs,
		RunE:    func(*cobra.Command, []string) error { return i.Remove() },
	}
	cmd.AddCommand(install, remove)
	return cmd
}
