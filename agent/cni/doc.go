// Package cni is the chained CNI plugin that has a pod caught before its first
// container runs, and its installer.
//
// In: what the container runtime tells a CNI plugin (environment and standard
// input, CNI spec 1.0). Out: a call to the agent's control socket, and the
// previous plugin's result unchanged. The plugin is the weir binary under the
// name [Binary]; `weir cni install` puts it there and into the node's network
// configuration.
//
// The contract that bites: when the agent does not answer, a pod must not
// start with its connections uncaught, so ADD fails and the kubelet tries
// again. "on_error": "allow" in the configuration says otherwise, and pods of
// the namespaces in "exclude_namespaces" (those that a node needs before its
// agent) are never asked about.
package cni
