package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/weirproxy/weir/agent"
	"github.com/weirproxy/weir/agent/doctor"
)

func doctorCommand() *cobra.Command {
	o := doctor.Options{Agent: agent.DefaultOptions()}
	var file string
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Look this node over, and pack what is needed to find out more",
		Long: `Look this node over, and pack what is needed to find out more.

It says what is wrong, and writes one archive: kernel features, the agent's
status, the pinned maps and links, the pods' rules, routes and sockets, and the
proxy's admin pages, without secrets. The exit code is 1 when something is
wrong. It needs root.`,
		Example: `  weir doctor
  weir doctor --admin 127.0.0.1:9901 --file /tmp/node7.tar.gz`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
			if err != nil {
				return err
			}
			findings, err := doctor.Report(cmd.Context(), o, f)
			if err := errors.Join(err, f.Close()); err != nil {
				return fmt.Errorf("%s: %w", file, err)
			}
			bad := 0
			for _, finding := range findings {
				fmt.Fprintln(cmd.OutOrStdout(), finding)
				if finding.Bad != "" {
					bad++
				}
			}
			fmt.Fprintf(cmd.OutOrStdout(), "everything else is in %s\n", file)
			if bad > 0 {
				return &exitError{code: 1}
			}
			return nil
		},
	}
	agentPathFlags(cmd, &o.Agent)
	cmd.Flags().StringVar(&o.Admin, "admin", "127.0.0.1:9901", "the proxy's admin `HOST:PORT`; empty: don't ask it")
	cmd.Flags().StringVarP(&file, "file", "f", "weir-doctor.tar.gz", "`FILE` to write")
	privileged(cmd)
	return cmd
}
