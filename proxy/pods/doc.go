// Package pods is who the node's pods are, as far as the data plane wants to
// know: the identity that access logs, access rules and statistics see of the
// pod whose connection it is, and of the pod at the other end.
//
// In: what the agent tells (package handoff), put into a [Table] on main by
// proxy/server. Out: filter state and statistics for each accepted connection,
// which proxy/listener asks for on its workers.
//
// In filter state, weir.pod is the pod whose connection it is and weir.peer
// the one at the other end (the client's address, or where the pod wants to
// go), if it is one that this node's agent manages or knows of:
//
//	weir.pod                  NAMESPACE/NAME; as FIELD: namespace, name, service_account, labels.KEY
//	weir.pod.namespace        a string, as are the others
//	weir.pod.name
//	weir.pod.service_account  if it is known
//	weir.pod.labels.KEY
//
// The contract that bites: the maps that [Identity] and [Pod.FilterState] give
// are shared by connections of all workers and must not be written to.
package pods
