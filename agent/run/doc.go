// Package run is the laptop mode: it runs one command whose TCP connections
// go through a proxy, on a plain machine.
//
// In: a command and, perhaps, a bootstrap. Out: the command's exit code and,
// when the configuration is the generated one, a line for each connection.
// `weir run` is the caller.
//
// The command gets a cgroup of its own, weir-run-PID, and the eBPF programs
// are attached to that alone, in rewriting mode; the proxy listens on
// loopback and runs in a sibling, so that its own connections are not caught:
//
//	weir-run-PID           sockops, getsockopt
//	weir-run-PID/command   connect4, connect6, getpeername4, getpeername6
//	weir-run-PID/proxy
//
// The contract that bites: nothing outlives the run. What the command left
// running is ended with it, and nothing is pinned, so that even SIGKILL leaves
// no more than empty cgroups, which [Sweep] removes.
package run
