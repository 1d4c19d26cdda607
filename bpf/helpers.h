// SPDX-License-Identifier: Apache-2.0
//
// What more than one hook needs: addresses, the pod's own addresses, the
// heartbeat, counters and flow events.
#pragma once

#include "maps.h"

#define SOL_SOCKET 1
#define SO_BINDTODEVICE 25

// A context field, loaded by itself: clang merges the loads of neighbouring
// u32 fields into a u64 one, which the verifier refuses.
#define CTX_LOAD(field) (*(volatile typeof(field) *)&(field))
#define CTX_STORE(field, value) (*(volatile typeof(field) *)&(field) = (value))

static __always_inline __u32 addr_word(const __u8 *addr, int i)
{
	return ((const __u32 *)addr)[i];
}

static __always_inline void addr_from6(__u8 *to, __u32 w0, __u32 w1, __u32 w2, __u32 w3)
{
	__u32 *words = (__u32 *)to;

	words[0] = w0;
	words[1] = w1;
	words[2] = w2;
	words[3] = w3;
}

static __always_inline void addr_from4(__u8 *to, __u32 ip4)
{
	addr_from6(to, 0, 0, bpf_htonl(0xffff), ip4);
}

static __always_inline void copy_addr(__u8 *to, const __u8 *from)
{
	addr_from6(to, addr_word(from, 0), addr_word(from, 1), addr_word(from, 2), addr_word(from, 3));
}

static __always_inline int addr_is4(const __u8 *addr)
{
	return !addr_word(addr, 0) && !addr_word(addr, 1) && addr_word(addr, 2) == bpf_htonl(0xffff);
}

// No route by mark can catch these, they never leave the link, and an address
// that is rewritten loses its interface.
static __always_inline int addr_is_link_local6(const __u8 *addr)
{
	return addr[0] == 0xfe && (addr[1] & 0xc0) == 0x80;
}

// Unspecified addresses, too: Linux connects them to loopback.
static __always_inline int addr_is_loopback(const __u8 *addr)
{
	if (addr_is4(addr))
		return addr[12] == 127 || !addr_word(addr, 3);
	return !addr_word(addr, 0) && !addr_word(addr, 1) && !addr_word(addr, 2) &&
	       (!addr_word(addr, 3) || addr_word(addr, 3) == bpf_htonl(1));
}

static __always_inline int addr_is_local(const __u8 *addr)
{
	return addr_is_link_local6(addr) || addr_is_loopback(addr);
}

static __always_inline int addr_is_same(const __u8 *a, const __u8 *b)
{
	return addr_word(a, 0) == addr_word(b, 0) && addr_word(a, 1) == addr_word(b, 1) &&
	       addr_word(a, 2) == addr_word(b, 2) && addr_word(a, 3) == addr_word(b, 3);
}

static __always_inline int is_among_addrs(const struct pod *pod, const __u8 *addr)
{
	struct pod_addr key = { .pod_id = pod->pod_id };

	copy_addr(key.addr, addr);
	return bpf_map_lookup_elem(&weir_pod_addrs, &key) != 0;
}

// Most pods have two addresses at most, and the map need not be asked. (sk_lookup
// asks it all the same: it is loaded once a pod, and the verifier takes longer
// over this than it saves.)
static __always_inline int addr_is_pods(const struct pod *pod, const __u8 *addr)
{
	if (pod->no_other_addrs)
		return addr_is4(addr) ? addr_word(addr, 3) == addr_word(pod->ip4, 0) : addr_is_same(addr, pod->ip6);
	return is_among_addrs(pod, addr);
}

static __noinline void count(enum counter counter)
{
	__u32 key = counter;
	__u64 *n = bpf_map_lookup_elem(&weir_counters, &key);

	if (n)
		(*n)++;
}

static __always_inline struct settings *get_settings(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&weir_settings, &zero);
}

// The proxy is alive as long as it beats within max_silence_ms. One that has
// never beaten is silent.
static __always_inline int proxy_is_silent(const struct pod *pod, const struct settings *settings)
{
	__u32 zero = 0;
	__u64 *beat, now, last;

	if (!settings->max_silence_ms || pod->external)
		return 0;
	beat = bpf_map_lookup_elem(&weir_heartbeat, &zero);
	if (!beat)
		return 1;
	last = *(volatile __u64 *)beat; // before the clock, or it may lie ahead of it
	if (!last)
		return 1;
	now = bpf_ktime_get_ns();
	return now > last && now - last > settings->max_silence_ms * 1000000ULL;
}

// A socket bound to a device (which needs no privilege) would slip past the
// route by mark and the way to an alias, so it is unbound: the device is the
// proxy's to choose. Only connect can do it.
static __always_inline int unbind_device(struct bpf_sock_addr *ctx)
{
	char none[4] = {};

	if (!ctx->sk->bound_dev_if)
		return 0;
	return bpf_setsockopt(ctx, SOL_SOCKET, SO_BINDTODEVICE, none, sizeof(none));
}

static __always_inline void flow_init(struct flow *flow, const struct pod *pod, const __u8 *addr, __u16 port,
				      enum flow_verdict verdict)
{
	flow->time_ns = bpf_ktime_get_ns();
	flow->pod_id = pod->pod_id;
	flow->verdict = verdict;
	flow->port = port;
	copy_addr(flow->addr, addr);
}

static __noinline void flow_emit(struct flow *flow)
{
	if (bpf_ringbuf_output(&weir_flows, flow, sizeof(*flow), 0))
		count(COUNT_FLOWS_LOST);
}
