// Package bpf is weir's eBPF programs: their C, and what bpf2go makes of it.
// It is loaded by package redirect, whose exported functions say what each map
// is for in Go's terms. `make generate` compiles the C again; the result is
// committed, so that building weir needs no clang.
//
// Programs, one file a hook:
//
//	connect.c      cgroup/connect4, connect6          catch outbound connections
//	sk_lookup.c    sk_lookup, one a pod               give connections to the listeners
//	sockops.c      sockops                            rewriting: carry the original destination to the accepted socket
//	getsockopt.c   cgroup/getsockopt                  rewriting: SO_ORIGINAL_DST
//	cookie.c       cgroup/connect4                    the cookie of a namespace, before Linux 5.14
//	getpeername.c  cgroup/getpeername4, getpeername6  rewriting: the app sees the peer that it asked for
//	dns.c          cgroup/connect, sendmsg, recvmsg, getpeername, each 4 and 6
//	                                                  DNS questions to the proxy; answers from whom was asked
//
// Maps (maps.h, dns.h), pinned by name:
//
//	weir_pods       HASH          netns cookie → the pod: flags, mark, outbound listeners
//	weir_settings   ARRAY[1]      bypass, max_silence_ms, flows, version of the layout
//	weir_heartbeat  ARRAY[1]      the proxy's last beat, CLOCK_MONOTONIC ns; mmapable
//	weir_listeners  SOCKHASH      pod, kind → listening socket
//	weir_pod_addrs  HASH          pod, address → 1: its own, never caught
//	weir_in_exclude HASH          pod, port → 1: inbound is left alone
//	weir_out_cidrs  LPM_TRIE      pod, range → 1: outbound is left alone
//	weir_out_ports  HASH          pod, port → 1: likewise
//	weir_out_uids   HASH          pod, user → 1: likewise
//	weir_lb_services, weir_lb_endpoints  HASH  connect-time load balancing
//	weir_sk_bypass  SK_STORAGE    the proxy's upstream sockets: never caught
//	weir_connecting LRU_HASH      rewriting: socket cookie → original destination, from connect to the SYN
//	weir_conn_orig  LRU_HASH      rewriting: the same by 4-tuple, until the client's socket is closed
//	weir_sk_orig    SK_STORAGE    the same of accepted sockets, and of balanced ones
//	weir_counters   PERCPU_ARRAY  see enum counter
//	weir_flows      RINGBUF       struct flow, while settings.flows is set
//	weir_dns_pods    HASH         netns cookie → slot and ports of a pod whose DNS is caught
//	weir_dns_servers ARRAY        slot → the servers that the pod has asked; mmapable
//	weir_dns_lock    ARRAY[1]     a spin lock for adding to them
//
// The contract that bites: a map's key and value are read by other versions of
// weir and by people with bpftool. An agent takes over maps of another layout
// field by field, by name (package redirect), so whoever gives a field another
// meaning gives it another name. weir_sk_bypass and weir_dns_servers must stay as they are; what is in
// the other maps of sockets (weir_sk_orig, weir_listeners) is lost when they
// change, and so is what is written to weir_connecting and weir_conn_orig while
// they do. Ports are in host order and addresses are bytes.
package bpf
