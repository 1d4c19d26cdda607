// Package netnsrig makes pods on one machine for tests and demonstrations, as
// a container runtime and a bridge CNI plugin do: a network namespace joined
// to a bridge by a veth pair, with an IPv4 and an IPv6 address, and a cgroup
// v2 of its own.
//
// In: names. Out: running commands and sockets inside the pods. [Test] is for
// tests, [New] for programs. Needs root.
//
// The contract that bites: always Close a Rig, also after an error. It ends
// every process in its pods' cgroups and removes all it made; what is left of
// a killed program is removed by [Sweep].
//
// Every Rig has a number of its own, taken by making its bridge, so that rigs
// of several processes do not meet: bridge weirbr7, subnets 10.77.7.0/24 and
// fd77:7::/64, namespaces /run/netns/weir7-NAME, cgroups weir-rig7/NAME.
package netnsrig
