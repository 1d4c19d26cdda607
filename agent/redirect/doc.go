// Package redirect loads weir's eBPF programs, attaches and pins them, and is
// the Go side of their maps (package bpf).
//
// In: pods, as the kernel must know them, and the sockets that take their
// connections. Out: caught connections, counters and flow events. The agent
// calls it for a node (pinned under /sys/fs/bpf/weir) and weir run for one
// command (nothing pinned: all ends with the process).
//
// An agent that follows one of another version takes over its maps, whatever
// their layout (migrate.go).
//
// The contract that bites: what is pinned goes on without us. A pod is caught
// from the moment that [Redirect.PutPod] returns until [Redirect.RemovePod],
// whether or not this process lives, so its sockets and routes must be there
// before the first and stay until after the second.
package redirect
