package main

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/weirproxy/weir/agent/run"
)

func runCommand() *cobra.Command {
	o := run.Options{Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr}
	cmd := &cobra.Command{
		Use:   "run [flags] -- CMD [ARG]…",
		Short: "Run a command whose TCP connections go through a proxy",
		Long: `Run a command whose TCP connections go through a proxy, on a plain machine.

The command runs in a cgroup of its own. All of its TCP connections, also those
to this machine itself, are caught and go to a proxy that is started with it;
only link-local IPv6 destinations and other network namespaces that it enters
are left alone. Without a bootstrap connections are passed through, and a line
for each goes to standard error when it ends. The exit code is the command's;
nothing is left behind. It needs root.

A bootstrap must listen on 127.0.0.1:PORT (and on [::1]:PORT for IPv6) with the
original_dst listener filter.`,
		Example: `  weir run -- curl https://example.com
  weir run -- sh -c 'make && ./smoke-test localhost:8080'
  weir run -c bootstrap.yaml --port 15001 -- ./my-app
  weir run --proxy /usr/bin/envoy -- git fetch`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Command = args
			code, err := run.Run(cmd.Context(), o)
			if code != 0 {
				return &exitError{code, err}
			}
			return err
		},
	}
	f := cmd.Flags()
	f.SetInterspersed(false)
	f.StringVarP(&o.Bootstrap, "config-path", "c", "", "bootstrap `FILE` of the proxy (default pass connections through and log each)")
	f.Uint16Var(&o.Port, "port", 15001, "`PORT` where the bootstrap listens for caught connections")
	f.StringVar(&o.Proxy, "proxy", "", "`PATH` of a proxy that takes Envoy's flags (default this program's)")
	privileged(cmd)
	completeYAML(cmd, "config-path")
	return cmd
}
