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
	cmd := &cobra.Command{
		Use:   "observe",
		Short: "Show the connections that the agent catches, as they happen",
		Long: `Show the connections that the agent catches, as they happen: the pod, the
process, the original destination, and what became of it. One can observe at a
time. It needs root.`,
		Example: `  weir observe
  weir observe -o json | jq 'select(.verdict == "denied")'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGTERM, syscall.SIGINT)
			defer stop()
			return agent.Observe(ctx, o, output, cmd.OutOrStdout())
		},
	}
	agentPathFlags(cmd, &o)
	cmd.Flags().StringVarP(&output, "output", "o", "table", "`FORMAT`: table or json, an object a line")
	completeWords(cmd, "output", "table", "json")
	privileged(cmd)
	return cmd
}
