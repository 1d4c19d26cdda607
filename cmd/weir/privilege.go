package main

import (
	"fmt"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
)

// privileged has commands fail with one clear error, instead of many from the
// kernel, where they lack the capabilities of a node agent.
func privileged(cmds ...*cobra.Command) {
	for _, cmd := range cmds {
		run := cmd.RunE
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			if !hasCapabilities() {
				return fmt.Errorf("`%s` needs root (CAP_NET_ADMIN and CAP_SYS_ADMIN): try sudo", cmd.CommandPath())
			}
			return run(cmd, args)
		}
	}
}

func hasCapabilities() bool {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var sets [2]unix.CapUserData // of 32 capabilities each
	if err := unix.Capget(&header, &sets[0]); err != nil {
		return true // the kernel will tell
	}
	for _, c := range []uint{unix.CAP_NET_ADMIN, unix.CAP_SYS_ADMIN} { // the latter includes CAP_BPF
		if sets[c/32].Effective&(1<<(c%32)) == 0 {
			return false
		}
	}
	return true
}
