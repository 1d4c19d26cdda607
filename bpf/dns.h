// SPDX-License-Identifier: Apache-2.0
//
// What the DNS hooks share: which pods' DNS is caught, and the aliases by which
// a server that a pod asks is known while its questions go to the proxy.
//
// A question to server S is sent to an alias of S instead: an address that is
// local to every network namespace, where the proxy listens. The alias tells
// the proxy whom the pod asked, and the way back whom the answer is from, so
// that any number of servers can be asked by one socket at once.
#pragma once

#include "helpers.h"

#define SOCK_DGRAM 2
#define IPPROTO_UDP 17
#define DNS_PORT 53

// A pod asks a handful of servers. One that asks more is a resolver itself:
// what it asks the others is left alone.
#define DNS_SERVERS 16

// 127.53.0.N and fd77:6569:7200:53::N are the alias of a pod's server N-1.
#define DNS_ALIAS4 0x7f350000
#define DNS_ALIAS6_0 0xfd776569
#define DNS_ALIAS6_1 0x72000053

struct dns_pod {
	OTHER(__u32 other;)
	__u32 slot;  // of weir_dns_servers
	__u16 port4; // where the proxy listens on the aliases; 0: nowhere
	__u16 port6;
};

// The servers that a pod has asked. An address that is all zeros is free; it is
// written once and stays as long as the pod.
struct dns_servers {
	__u8 addr[DNS_SERVERS][16] WORDS;
};

struct dns_lock {
	struct bpf_spin_lock lock;
};

// A map of its own, so that a question costs others nothing.
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, __u64); // netns cookie
	__type(value, struct dns_pod);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} weir_dns_pods SEC(".maps");

// Mmapable, so that a proxy without any capability can read it: one of another
// version, too, so its layout must not change.
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 4096 OTHER(* 2));
	__type(key, __u32); // dns_pod.slot
	__type(value, struct dns_servers);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} weir_dns_servers SEC(".maps");

// Held while a server is added; a map with a lock in it cannot be mmapable.
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct dns_lock);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} weir_dns_lock SEC(".maps");

static __always_inline int addr_is_zero(const __u8 *a)
{
	return !addr_word(a, 0) && !addr_word(a, 1) && !addr_word(a, 2) && !addr_word(a, 3);
}

// The index of a server that the pod has asked before; -1: it has not.
static __always_inline int dns_find(const struct dns_servers *servers, const __u8 *addr)
{
#pragma unroll
	for (int i = 0; i < DNS_SERVERS; i++) {
		if (addr_is_same(servers->addr[i], addr))
			return i;
	}
	return -1;
}

// The server's index, taking a free one if need be; -1: there is none.
static __always_inline int dns_index(const struct dns_pod *dns, const __u8 *addr)
{
	__u32 slot = dns->slot, zero = 0;
	struct dns_servers *servers = bpf_map_lookup_elem(&weir_dns_servers, &slot);
	struct dns_lock *lock = bpf_map_lookup_elem(&weir_dns_lock, &zero);
	int index;

	if (!servers || !lock || addr_is_zero(addr))
		return -1;
	index = dns_find(servers, addr);
	if (index >= 0)
		return index;
	bpf_spin_lock(&lock->lock);
#pragma unroll
	for (int i = 0; i < DNS_SERVERS; i++) {
		if (index < 0 && (addr_is_zero(servers->addr[i]) || addr_is_same(servers->addr[i], addr))) {
			copy_addr(servers->addr[i], addr);
			index = i;
		}
	}
	bpf_spin_unlock(&lock->lock);
	return index;
}

// The server behind an alias; 0: there is none.
static __always_inline const __u8 *dns_server(const struct dns_pod *dns, __u32 index)
{
	__u32 slot = dns->slot;
	struct dns_servers *servers;

	if (index >= DNS_SERVERS)
		return 0;
	asm volatile("" : "+r"(index)); // the verifier must see a bound that clang knows
	index &= DNS_SERVERS - 1;
	servers = bpf_map_lookup_elem(&weir_dns_servers, &slot);
	if (!servers || addr_is_zero(servers->addr[index]))
		return 0;
	return servers->addr[index];
}
