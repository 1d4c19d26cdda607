// Package cgroup2 finds the cgroup v2 tree of the machine and names the
// cgroups in it. It is read by whoever attaches eBPF programs to cgroups or
// makes cgroups of its own (the agent, weir run, the test rigs).
//
// The tree is never assumed to be at /sys/fs/cgroup: on hybrid machines that
// is a tmpfs of v1 controllers and cgroup v2 lies beside them.
package cgroup2
