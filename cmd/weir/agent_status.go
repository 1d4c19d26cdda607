package main

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/weirproxy/weir/agent"
	"github.com/weirproxy/weir/agent/redirect"
)

func agentStatusCommand(o *agent.Options) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show the pods, the proxies and the counters",
		Example: `  weir agent status
  weir agent status -o json | jq .counters`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := agent.NewClient(*o).Status(cmd.Context())
			if err != nil {
				return err
			}
			return write(cmd, output, s, func() error { return s.WriteTable(cmd.OutOrStdout()) })
		},
	}
	outputFlag(cmd, &output)
	return cmd
}

func agentCheckCommand() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Probe the kernel for what the agent needs, and name what is missing",
		Long: `Probe the kernel for what the agent needs, and name what is missing.

Each feature is tried out, and the mainline version that brought it is named:
vendors' kernels have features that their version does not tell. The exit code
is 1 when something is missing. It needs root.`,
		Example: `  weir agent check
  weir agent check -o json | jq '.[] | select(.error)'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			features := redirect.Check()
			if err := write(cmd, output, features, func() error {
				return agent.WriteFeatures(cmd.OutOrStdout(), features)
			}); err != nil {
				return err
			}
			return agent.Missing(features)
		},
	}
	outputFlag(cmd, &output)
	return cmd
}

func agentCleanupCommand(o *agent.Options) *cobra.Command {
	return &cobra.Command{
		Use:   "cleanup",
		Short: "Remove all that agents left on this machine, and say what",
		Long: `Remove all that agents left on this machine, and say what: programs, links,
maps, the pods' rules and routes, state and sockets. It works however the agent
ended, but not while one runs. Connections that are caught now will break.`,
		Example: "  weir agent cleanup",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			removed, err := agent.Cleanup(cmd.Context(), *o)
			for _, line := range removed {
				fmt.Fprintln(cmd.OutOrStdout(), "removed", line)
			}
			if err == nil && len(removed) == 0 {
				fmt.Fprintln(cmd.OutOrStdout(), "nothing to remove")
			}
			return err
		},
	}
}

func outputFlag(cmd *cobra.Command, output *string) {
	cmd.Flags().StringVarP(output, "output", "o", "table", "`FORMAT`: table or json")
	completeWords(cmd, "output", "table", "json")
}

// write writes v as JSON, or calls table, as -o says.
func write(cmd *cobra.Command, output string, v any, table func() error) error {
	switch output {
	case "table":
		return table()
	case "json":
		e := json.NewEncoder(cmd.OutOrStdout())
		e.SetIndent("", "  ")
		return e.Encode(v)
	}
	return fmt.Errorf("-o %s: table and json are the formats", output)
}
