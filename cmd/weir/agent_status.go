package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"github.com/weirproxy/weir/agent"
	"github.com/weirproxy/weir/agent/redirect"
)

func agentStatusCommand(o *agent.Options) *cobra.Command {
	var output string
	var wait time.Duration
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show the pods, the proxies and the counters",
		Example: `  weir agent status
  weir agent status -o json | jq .counters
  weir agent status --wait 30s >/dev/null && echo every pod is caught`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := status(cmd.Context(), *o, wait)
			if err != nil {
				return err
			}
			return write(cmd, output, s, func() error { return s.WriteTable(cmd.OutOrStdout()) })
		},
	}
	outputFlag(cmd, &output)
	cmd.Flags().DurationVar(&wait, "wait", 0, "wait this `DURATION` for an agent, a proxy and every pod to be caught; fail if they are not")
	return cmd
}

func status(ctx context.Context, o agent.Options, wait time.Duration) (agent.Status, error) {
	if wait == 0 {
		return agent.NewClient(o).Status(ctx)
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	return agent.NewClient(o).WaitReady(ctx)
}

func agentPodsCommand(o *agent.Options) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "pods",
		Short: "Show the pods that are caught, or should be",
		Example: `  weir agent pods
  weir agent pods -o json | jq -r '.[] | select(.state != "caught") | .name'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := agent.NewClient(*o).Status(cmd.Context())
			if err != nil {
				return err
			}
			return write(cmd, output, s.Pods, func() error { return agent.WritePods(cmd.OutOrStdout(), s.Pods) })
		},
	}
	outputFlag(cmd, &output)
	return cmd
}

func agentConnectionsCommand(o *agent.Options) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "connections",
		Short: "Show the pods' connections that are open, and their bytes",
		Example: `  weir agent connections
  weir agent connections -o json | jq 'map(.traffic.sent_bytes) | add'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			all, err := agent.NewClient(*o).Connections(cmd.Context())
			if err != nil {
				return err
			}
			return write(cmd, output, all, func() error { return agent.WriteConnections(cmd.OutOrStdout(), all) })
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
	cmd.Flags().StringVarP(output, "output", "o", "table", "`FORMAT`: table, json or yaml")
	completeWords(cmd, "output", "table", "json", "yaml")
}

// write writes v as JSON or YAML, or calls table, as -o says.
func write(cmd *cobra.Command, output string, v any, table func() error) error {
	switch output {
	case "table":
		return table()
	case "json":
		e := json.NewEncoder(cmd.OutOrStdout())
		e.SetIndent("", "  ")
		return e.Encode(v)
	case "yaml":
		text, err := yaml.Marshal(v)
		if err != nil {
			return err
		}
		_, err = cmd.OutOrStdout().Write(text)
		return err
	}
	return fmt.Errorf("-o %s: table, json and yaml are the formats", output)
}
