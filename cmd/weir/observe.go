package main

import (
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/weirproxy/weir/agent"
	"github.com/weirproxy/weir/agent/redirect"
)

func observeCommand() *cobra.Command {
	o := agent.DefaultOptions()
	var output string
	var filter agent.Filter
	var follow bool
	cmd := &cobra.Command{
		Use:   "observe",
		Short: "Show the connections that the agent catches",
		Long: `Show the connections that the agent catches: the pod, the original destination,
the cluster that the proxy sent it to, what became of it, and its bytes.

Without --follow it shows those that are open now. With --follow it shows each
that opens, with the process, and each that closes, with its bytes, as they
happen; one can follow at a time. It needs root.`,
		Example: `  weir observe
  weir observe --service payments --to 10.96.0.0/12
  weir observe --follow --pod web
  weir observe --follow --verdict denied -o json | jq .command`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGTERM, syscall.SIGINT)
			defer stop()
			if !follow {
				return agent.List(ctx, o, filter, output, cmd.OutOrStdout())
			}
			return agent.Observe(ctx, o, filter, output, cmd.OutOrStdout())
		},
	}
	agentPathFlags(cmd, &o)
	cmd.Flags().StringVarP(&output, "output", "o", "table", "`FORMAT`: table or json, an object a line")
	completeWords(cmd, "output", "table", "json")
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "show those that open and close, as they happen")
	cmd.Flags().StringVar(&filter.Service, "service", "", "only what was sent to the cluster of this `NAME`")
	cmd.Flags().Var((*prefix)(&filter.To), "to", "only what was going to this `CIDR` or address")
	cmd.Flags().Uint16Var(&filter.Port, "port", 0, "only what was going to this `PORT`")
	cmd.Flags().StringVar(&filter.Pod, "pod", "", "only the pod of this `NAME` (or NAMESPACE/NAME)")
	cmd.Flags().StringVar(&filter.Verdict, "verdict", "", "only what became of it, a `VERDICT`: "+strings.Join(redirect.Verdicts(), ", "))
	completeWords(cmd, "verdict", redirect.Verdicts()...)
	privileged(cmd)
	return cmd
}
