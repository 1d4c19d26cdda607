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
	return &cobra.Command{
		Use:   "supervise [flags] -- SUBCOMMAND…",
		Short: "Run a weir subcommand, and start it again at once when it dies",
		Long: `Run a weir subcommand, and start it again at once when it dies.

For containers: the kubelet waits longer and longer before it starts one again.
A proxy's HTTP/1 connections without TLS go on in the next one, and requests
under way that are safe to repeat are repeated once. Signals are passed on.`,
		Example: "  weir supervise -- proxy -c bootstrap.yaml --agent-socket /run/weir/proxy.sock",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			self, err := os.Executable()
			if err != nil {
				return err
			}
			var env []string
			var files []*os.File
			if args[0] == "proxy" {
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
}
