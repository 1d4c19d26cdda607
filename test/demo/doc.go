// Command demo shows weir at work on this machine, and checks what it shows:
// two pods, the agent, an unprivileged proxy, and a control plane. `make demo`
// runs it, as root.
//
// In: the weir binary (-weir). Out: a story for people on standard output; the
// exit code is 1 when anything in it is not true. Whatever happens, Ctrl-C
// included, all that it made is removed.
//
// [steps] is the story. What it stands on is in internal/noderig (pods, agent
// and proxy) and internal/xdsrig (the control plane).
package main
