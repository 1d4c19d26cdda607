// Package listener takes connections in.
//
// What comes in: listener configurations, on main, through
// [Manager.AddOrUpdate]; listening sockets made elsewhere (by the agent, in a
// pod), through [Manager.AttachSocket], with whose they are (package pods); what
// lives of theirs is told by [Manager.PodConnections]. What goes out: a started
// [network.Connection] with the network filters of the filter chain that
// matches it, on one of the workers.
//
// On main a [Manager] compiles a configuration into a [Listener], lets it
// warm until its filters have what they need, binds its sockets and posts it
// to each worker. There a handler accepts (acceptor.go), runs the listener
// filters, which look at bytes without consuming them (socket.go,
// pending.go), picks the filter chain (package match) and makes the
// connection (conn.go).
//
// An update is make-before-break: the old listener serves until the new one
// is warm, sockets whose address stays are carried over with the connections
// that wait in them, and the old one's connections are told to drain and
// closed after the drain time. When only filter chains differ, connections of
// chains that stay are not touched.
//
// The contract that bites: a [Listener] is shared by all workers and never
// changes once it was posted, except for its atomic counters.
package listener
