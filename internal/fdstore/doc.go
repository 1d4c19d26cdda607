// Package fdstore lets connections outlive the proxy that has them. A process
// that is killed closes its descriptors, and what it had read is gone. So
// `weir proxy`, when `weir supervise` runs it, has a second process that shares
// its table of descriptors (clone(2), CLONE_FILES) and does nothing but wait
// for the proxy's end. Then it closes what cannot go on and sends the rest to
// the next proxy, by a pair of sockets that the supervisor holds.
//
// Which can go on is written in memory that both processes have: one [Entry] a
// descriptor. A connection of which nothing was read or written since it was
// accepted, or since the last response on it was complete, is as good as one
// that was not accepted yet. One with a request that is safe to repeat (RFC
// 9110 section 9.2.2) and of whose response nothing is written goes on with what
// was read of it, once: a request that kills proxies kills no third. Two that
// are passed on to each other as they are go on together, if the kernel's counts
// say that nothing of either is in the proxy.
//
// While the proxy lives this costs no system call: some stores, and the copy
// of what is read, up to a limit. Package network writes the entries, package listener takes in
// what comes ([Receive]), package server starts it all.
package fdstore
