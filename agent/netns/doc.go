// Package netns works inside a pod's network namespace: it runs functions
// there, makes the listening and upstream sockets that the proxy is handed,
// and installs the routes that bring marked connections to the listeners.
//
// In: a namespace's path (/run/netns/NAME, /proc/PID/ns/net). Out: socket file
// descriptors, which the caller owns. The agent is the caller; the proxy never
// enters a namespace. Entering one needs CAP_SYS_ADMIN.
//
// The contract that bites: a socket keeps its network namespace alive. Whoever
// holds sockets of a pod must close them when the pod goes, or the namespace
// and its interfaces stay for ever.
package netns
