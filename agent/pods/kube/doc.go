// Package kube says which pods of a Kubernetes node the agent manages: those
// that labels on them or on their namespaces ask for.
//
// In: the API server's pods of this node and its namespaces, watched. Out:
// [pods.Spec]s for package agent, whose [pods.Source] a [Source] is. `weir
// agent --kubernetes` makes it. Likewise [Services] are those of the cluster
// that a label has balanced at connect (--kubernetes-services), and [Peers] its
// pods of all nodes, so that the proxy knows who they are (--kubernetes-peers).
//
// A running pod is found by its UID, which is in the path of its cgroup; a pod
// that starts is told of by the CNI plugin (package cni), with its namespace,
// before any of its containers runs.
//
// The contract that bites: until it has heard from the API server, a Source
// knows nothing, which is not the same as knowing that there are no pods.
package kube
