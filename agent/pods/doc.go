// Package pods says which pods the agent manages, which services it balances at
// connect, and which other pods the proxy is to know: those of its
// configuration file and those that `weir agent add-pod` names. A [Source],
// [ServiceSource] or [PeerSource] tells of others (package kube).
//
// In: YAML or flags. Out: validated [Spec]s with every default filled in,
// [Service]s and [Peer]s, for package agent.
package pods
