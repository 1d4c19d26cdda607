package main

import (
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/weirproxy/weir/agent"
)

func observeCommand() *cobra.Command {
	o := agent.DefaultOptions()
	var output string
	var filter agent.Filter
	cmd := &cobra.Command{
		Use:   "observe",
		Short: "Show the connections that the agent catches, as they happen",
		Long: `Show the connections that the agent catches, as they happen: the pod, the
process, the original destination, and what became of it. One can observe at a
time. It needs root.`,
		Example: `  weir observe
  weir observe --pod web
  weir observe --verdict denied -o json | jq .command`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGTERM, syscall.SIGINT)
			defer stop()
			return agent.Observe(ctx, o, filter, output, cmd.OutOrStdout())
		},
	}
	agentPathFlags(cmd, &o)
	cmd.Flags().StringVarP(&output, "output", "o", "table", "`FORMAT`: table or json, an object a line")
	completeWords(cmd, "output", "table", "json")
	cmd.Flags().StringVar(&filter.Pod, "pod", "", "only the pod of this `NAME` (or NAMESPACE/NAME)")
	cmd.Flags().StringVar(&filter.Verdict, "verdict", "", "only what became `OF` it: marked, rewritten, inbound, left alone or denied")
	completeWords(cmd, "verdict", "marked", "rewritten", "inbound", "denied")
	privileged(cmd)
	return cmd
}
