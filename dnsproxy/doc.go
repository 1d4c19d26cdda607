// Package dnsproxy answers the DNS questions of pods.
//
// In: UDP sockets that the node agent made in the pods, to which eBPF programs
// send what the pods send to port 53 (bpf/dns.c), and connections to port 53
// over TCP. Out: answers; and for each pod, which name an address stands for
// ([Server.Name]). proxy/server is the caller on a node, agent/run for one
// command; the package knows neither of them, nor eBPF.
//
// A question takes this way:
//
//  1. a name that the configuration gives addresses to ([Names.Set]) is answered
//     from there;
//  2. what was answered before, and may still be believed, is answered again;
//  3. everything else, also what is no question, goes as it is to the server
//     that the pod asked, by a socket of the pod's own, and the answer goes
//     back as it is. An answer that was cut off is asked for again by TCP;
//  4. a host of the mesh ([Names.AddHost]) that this server does not know gets
//     an address that stands for it.
//
// The contract that bites: whom a pod asked is told by the address that its
// datagram came to, an alias (see [Servers]). An answer that leaves from another
// address is an answer of another server, and the pod drops it.
//
// Everything that comes in is hostile. What is kept is bounded for each pod by
// itself, and goes with the pod: no pod can make another wait for room, and
// none sees what another was answered.
package dnsproxy
