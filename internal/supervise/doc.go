// Package supervise keeps a program running: it starts it again at once when
// it dies. `weir supervise` is the caller.
//
// The kubelet waits ten seconds and more before it starts a container again
// that has died twice; connections that are caught cannot wait so long.
package supervise
