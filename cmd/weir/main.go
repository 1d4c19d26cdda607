// Command weir is the service proxy, its node agent and their tools in one
// binary. Each subcommand has a file here that only reads flags; the work is
// done by the packages that it calls.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/weirproxy/weir/agent/cni"
	"github.com/weirproxy/weir/internal/buildinfo"
)

func main() {
	if filepath.Base(os.Args[0]) == cni.Binary {
		cni.Main()
		return
	}
	if err := root().Execute(); err != nil {
		if text := err.Error(); text != "" {
			fmt.Fprintln(os.Stderr, "weir:", text)
		}
		os.Exit(exitCode(err))
	}
}

func root() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "weir",
		Short: "A Linux-native service proxy with eBPF redirection",
		Example: `  weir proxy -c bootstrap.yaml                 # the data plane, from an Envoy bootstrap
  weir agent --config agent.yaml               # catch this node's pods, as root
  weir run -- curl https://example.com         # one command through a proxy
  source <(weir completion bash)`,
		Version:       buildinfo.Version(),
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	cmd.AddCommand(proxyCommand(), agentCommand(), runCommand(), observeCommand(), doctorCommand(), cniCommand(), superviseCommand())
	return cmd
}
