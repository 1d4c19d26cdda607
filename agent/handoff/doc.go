// Package handoff is how the agent hands a proxy the sockets that it made
// inside the pods: a protocol over a unix socket that carries file
// descriptors. The agent runs a [Server], the proxy a [Client]; the package
// knows neither eBPF nor namespaces.
//
// One packet (SOCK_SEQPACKET) is one message: a JSON object of at most 16 KiB
// with up to 64 descriptors beside it (SCM_RIGHTS).
//
//	proxy → agent  hello          version
//	               held           a listener that the proxy already has, + it
//	               ready          that was all it held
//	               want_upstream  pod, family, protocol, count
//	               connections    those that live; several messages answer one question
//	               closed         those that have ended, while they are watched
//	               draining       it accepts no more
//	agent → proxy  hello          version, + the heartbeat map
//	               pod_added      a pod, + its listening sockets; again when it changed;
//	                              + the table of servers if they take DNS
//	               synced         that was every pod there is
//	               pod_removed    pod
//	               upstream       pod, family, + unconnected sockets
//	               refused        pod, family, error
//	               yield          a newer proxy accepts, or does not any more
//	               list_connections, watch_connections
//
// Agent and proxy are upgraded at different times: fields and messages that one
// does not know it skips, and of versions they speak the lower.
//
// The agent keeps every listening socket, so connections queue while there is
// no proxy. A proxy keeps them too, and returns them (held) to an agent that
// was started again: neither's restart refuses a connection. Sockets in want
// of a proxy are pushed in batches, so that one is at hand when a request
// needs it. Of several proxies the newest accepts.
//
// The contract that bites: a descriptor has one owner. What an event or a
// function returns is the receiver's to close; what [Server.Add] is given
// stays the caller's and must be open until [Server.Remove] returns.
package handoff
