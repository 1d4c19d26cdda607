// Package pods says which pods the agent manages: those of its configuration
// file and those that `weir agent add-pod` names. Kubernetes and CNI sources
// will join them.
//
// In: YAML or flags. Out: validated [Spec]s with every default filled in, for
// package agent.
package pods
