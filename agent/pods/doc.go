// Package pods says which pods the agent manages, and which services it
// balances at connect: those of its configuration file and those that `weir
// agent add-pod` names. A [Source] or [ServiceSource] tells of others (package
// kube).
//
// In: YAML or flags. Out: validated [Spec]s with every default filled in, and
// [Service]s, for package agent.
package pods
