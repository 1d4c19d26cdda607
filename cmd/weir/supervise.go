package main

import (
	"errors"
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"github.com/weirproxy/weir/internal/fdstore"
	"github.com/weirproxy/weir/internal/supervise"
)

func superviseCommand() *cobra.Command {
	var keep bool
	cmd := &cobra.Command{
		Use:   "supervise [flags] -- SUBCOMMAND…",
		Short: "Run a weir subcommand, and start it again at once when it dies",
		Long: `Run a weir subcommand, and start it again at once when it dies.

For containers: the kubelet waits longer and longer before it starts one again.
Connections of a proxy that was killed go on in the next one: those that are
passed on as they are, and those that speak HTTP/1 without TLS and have no
request under way. A request that is safe to repeat (GET, HEAD, OPTIONS) is
repeated once. Signals are passed on.`,
		Example: "  weir supervise -- proxy -c bootstrap.yaml --agent-socket /run/weir/proxy.sock",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			self, err := os.Executable()
			if err != nil {
				return err
			}
			var env []string
			var files []*os.File
			if args[0] == "proxy" && keep {
				pair, err := fdstore.Pair()
				if err != nil {
					return err
				}
				env, files = []string{fdstore.Environment(3)}, pair[:]
			}
			err = supervise.Run(cmd.Context(), append([]string{self}, args...), env, files, slog.Default())
			var exited *supervise.ErrExited
			if errors.As(err, &exited) {
				return &exitError{code: exited.Code}
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&keep, "keep-connections", true, "have a killed proxy's connections go on in the next one")
	return cmd
}
