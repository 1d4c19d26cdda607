// SPDX-License-Identifier: Apache-2.0
//
// The maps that all programs share, and the layout of their keys and values.
//
// Ports are in host order and addresses are byte arrays, IPv4 as ::ffff:a.b.c.d,
// so that `bpftool map dump` is readable and one key serves both families.
#pragma once

#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define AF_INET 2
#define AF_INET6 10
#define SOCK_STREAM 1
#define IPPROTO_TCP 6

// Addresses are bytes to bpftool and words to the programs.
#define WORDS __attribute__((aligned(4)))

// What another version of weir might have here, for tests (package otherlayout).
#ifdef OTHER_LAYOUT
#define OTHER(field) field
#else
#define OTHER(field)
#endif

// A managed pod. An address that the pod does not have is all zeros.
struct pod {
	OTHER(__u64 other;)
	char name[64];      // NAMESPACE/NAME, for people
	__u64 proxy_cgroup; // connections from this cgroup are the proxy's; 0: none
	__u32 pod_id;
	__u32 mark;
	OTHER(__u32 another;)
	__u8 inbound;         // connections to the pod are caught
	__u8 rewrite;         // outbound by connect rewriting, not by mark
	__u8 fail_open;       // leave connections alone when the proxy is silent
	__u8 external;        // the proxy is not weir: expect no heartbeat
	__u16 outbound4_port; // rewriting: where caught connections go
	__u16 outbound6_port;
	__u8 ip4[4] WORDS;
	__u8 ip6[16] WORDS;
	__u8 loopback; // connections to loopback addresses are caught, too
	__u8 out_cidrs; // it has some in weir_out_cidrs; likewise the others
	__u8 out_ports;
	__u8 out_uids;
	__u8 no_other_addrs; // than ip4 and ip6; else they are in weir_pod_addrs
};

struct settings {
	__u32 version;        // of this layout
	__u32 bypass;         // catch nothing
	__u32 max_silence_ms; // without a heartbeat; 0: for ever
	__u32 flows;          // somebody reads weir_flows
	__u32 balancing;      // there may be something in weir_lb_services
};

enum listener_kind {
	LISTENER_OUTBOUND4 = 1,
	LISTENER_OUTBOUND6 = 2,
	LISTENER_INBOUND4 = 3,
	LISTENER_INBOUND6 = 4,
	LISTENER_DNS4 = 5, // a UDP socket
	LISTENER_DNS6 = 6,
};

struct listener_key {
	__u32 pod_id;
	enum listener_kind kind;
};

struct pod_addr {
	OTHER(__u32 other;)
	__u32 pod_id;
	__u8 addr[16] WORDS;
};

struct pod_port {
	OTHER(__u32 other;)
	__u32 pod_id;
	__u16 port;
	__u16 pad;
};

// A range of a pod's destinations. The prefix counts the bits of pod_id, too.
struct pod_cidr {
	__u32 prefix_len;
	__u32 pod_id;
	__u8 addr[16] WORDS;
};

struct pod_uid {
	__u32 pod_id;
	__u32 uid; // as the node sees it
};

enum orig_role {
	ORIG_CLIENT = 1,   // the app's: getpeername answers it
	ORIG_ACCEPTED = 2, // the proxy's socket: SO_ORIGINAL_DST answers it
	ORIG_BALANCED = 3, // the app's: getpeername answers it, and nobody carries it on
};

// Where a rewritten connection was going.
struct orig {
	__u8 addr[16] WORDS;
	__u16 port;
	__u16 role; // enum orig_role
};

// A rewritten connection, as its client sees it.
struct conn {
	__u8 local_addr[16] WORDS;
	__u8 remote_addr[16] WORDS;
	__u16 local_port;
	__u16 remote_port;
};

// A rewritten connection that has no local port yet.
struct connecting {
	struct orig orig;
	__u8 to_addr[16] WORDS; // where it goes instead
	__u16 to_port;
	__u16 pad;
};

enum flow_verdict {
	FLOW_MARKED = 1,
	FLOW_REWRITTEN = 2,
	FLOW_INBOUND = 3,
	FLOW_LEFT_ALONE = 4, // proxy silent, policy open
	FLOW_DENIED = 5,     // proxy silent, policy closed
	FLOW_DNS = 6,        // a question to a DNS server
	FLOW_BALANCED = 7,   // to an endpoint, past the proxy
};

// A service whose connections go to an endpoint at connect.
struct lb_addr {
	__u8 addr[16] WORDS;
	__u16 port;
	__u16 pad;
};

// Its endpoints are 0 to count-1 of generation, which is another with every
// change: whoever has read this finds them, or reads it again.
struct lb_service {
	__u32 generation;
	__u32 count;
};

struct lb_endpoint {
	__u32 generation;
	__u32 index;
};

// One decision. For an inbound connection addr and port are the pod's, the
// remote address is the client's and there is no process.
struct flow {
	__u64 time_ns; // CLOCK_MONOTONIC
	__u32 pod_id;
	__u32 pid;
	__u8 addr[16] WORDS; // the original destination
	__u8 remote_addr[16] WORDS; // of a balanced one: the endpoint
	char comm[16];
	enum flow_verdict verdict;
	__u16 port;
	__u16 pad;
};

enum counter {
	COUNT_MARKED = 0,
	COUNT_REWRITTEN = 1,
	COUNT_INBOUND = 2,
	COUNT_BYPASS_SOCKET = 3, // the proxy's own upstream sockets
	COUNT_OWN_ADDRESS = 4,   // loopback and the pod itself
	COUNT_EXCLUDED_PORT = 5,
	COUNT_SILENT_OPEN = 6,
	COUNT_SILENT_CLOSED = 7,
	COUNT_FAILED = 8,     // a helper failed: the pod's policy decided
	COUNT_FLOWS_LOST = 9, // weir_flows was full
	COUNT_DNS = 10,
	COUNT_DNS_LEFT_ALONE = 11, // one server more than the pod may ask, or by a socket bound to a device
	COUNT_EXCLUDED_OUTBOUND = 12, // by range, port or user
	COUNT_BALANCED = 13,
	COUNTERS = 16 OTHER(* 2),
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, __u64); // netns cookie
	__type(value, struct pod);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} weir_pods SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct settings);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} weir_settings SEC(".maps");

// Mmapable, so that a proxy without any capability beats with a store.
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64); // CLOCK_MONOTONIC, ns
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} weir_heartbeat SEC(".maps");

// A value of 8 bytes: user space reads the socket's cookie.
struct {
	__uint(type, BPF_MAP_TYPE_SOCKHASH);
	__uint(max_entries, 24576);
	__type(key, struct listener_key);
	__type(value, __u64);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} weir_listeners SEC(".maps");

// Each pod's own addresses: traffic between them is never caught.
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct pod_addr);
	__type(value, __u8);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} weir_pod_addrs SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct pod_port);
	__type(value, __u8);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} weir_in_exclude SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct pod_cidr);
	__type(value, __u8);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} weir_out_cidrs SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct pod_port);
	__type(value, __u8);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} weir_out_ports SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct pod_uid);
	__type(value, __u8);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} weir_out_uids SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, __u32);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} weir_sk_bypass SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct orig);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} weir_sk_orig SEC(".maps");

// From connect to the SYN. A connect that fails in between leaves its entry,
// which is why it is an LRU map.
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, __u64); // socket cookie
	__type(value, struct connecting);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} weir_connecting SEC(".maps");

// From the SYN until the client's socket is closed.
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, struct conn);
	__type(value, struct orig);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} weir_conn_orig SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, COUNTERS);
	__type(key, __u32); // enum counter
	__type(value, __u64);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} weir_counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 18);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} weir_flows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct lb_addr);
	__type(value, struct lb_service);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} weir_lb_services SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 262144);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct lb_endpoint);
	__type(value, struct lb_addr);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} weir_lb_endpoints SEC(".maps");
