//go:build ignore

// SPDX-License-Identifier: Apache-2.0
//
// sk_lookup, loaded once a pod and attached to its network namespace: give
// the pod's marked outbound connections to its outbound listener, and what
// comes in for it to its inbound listener.
#include "helpers.h"

// bpf_get_netns_cookie is not allowed here, so it is a constant of the program.
volatile const __u64 netns_cookie = 0;

// The proxy connects to the app from the client's address. Kernels before 5.17
// do not tell the interface; while this is 0 the verifier does not look at it.
volatile const __u8 keeps_client = 0;

#define LOOPBACK 1 // lo's index in every network namespace

// What a client sends never comes in on lo. What the proxy sends in its name
// does: the agent has bound those sockets to lo.
static __always_inline int is_from_proxy(struct bpf_sk_lookup *ctx)
{
	return keeps_client && CTX_LOAD(ctx->ingress_ifindex) == LOOPBACK;
}

static __always_inline void addresses(struct bpf_sk_lookup *ctx, __u8 *local, __u8 *remote)
{
	__u32 local4 = CTX_LOAD(ctx->local_ip4), remote4 = CTX_LOAD(ctx->remote_ip4);

	if (CTX_LOAD(ctx->family) == AF_INET) {
		addr_from4(local, local4);
		addr_from4(remote, remote4);
	} else {
		addr_from6(local, CTX_LOAD(ctx->local_ip6[0]), CTX_LOAD(ctx->local_ip6[1]),
			   CTX_LOAD(ctx->local_ip6[2]), CTX_LOAD(ctx->local_ip6[3]));
		addr_from6(remote, CTX_LOAD(ctx->remote_ip6[0]), CTX_LOAD(ctx->remote_ip6[1]),
			   CTX_LOAD(ctx->remote_ip6[2]), CTX_LOAD(ctx->remote_ip6[3]));
	}
}

static __always_inline int assign(struct bpf_sk_lookup *ctx, const struct pod *pod, enum listener_kind kind)
{
	struct listener_key key = { .pod_id = pod->pod_id, .kind = kind };
	struct bpf_sock *sk = bpf_map_lookup_elem(&weir_listeners, &key);
	long err;

	if (!sk)
		return -1;
	err = bpf_sk_assign(ctx, sk, 0);
	bpf_sk_release(sk);
	return err;
}

static __always_inline int policy(const struct pod *pod)
{
	return pod->fail_open ? SK_PASS : SK_DROP;
}

static __always_inline int inbound(struct bpf_sk_lookup *ctx, const struct pod *pod, const __u8 *local,
				   const __u8 *remote)
{
	struct pod_port port = { .pod_id = pod->pod_id, .port = CTX_LOAD(ctx->local_port) };
	struct settings *settings = get_settings();
	int is4 = CTX_LOAD(ctx->family) == AF_INET;
	struct flow flow = {};

	if (!pod->inbound || !settings || settings->bypass)
		return SK_PASS;
	if (bpf_map_lookup_elem(&weir_in_exclude, &port)) {
		count(COUNT_EXCLUDED_PORT);
		return SK_PASS;
	}
	if (proxy_is_silent(pod, settings)) {
		count(pod->fail_open ? COUNT_SILENT_OPEN : COUNT_SILENT_CLOSED);
		return policy(pod);
	}
	if (assign(ctx, pod, is4 ? LISTENER_INBOUND4 : LISTENER_INBOUND6)) {
		count(COUNT_FAILED);
		return policy(pod);
	}
	count(COUNT_INBOUND);
	if (settings->flows) {
		flow_init(&flow, pod, local, port.port, FLOW_INBOUND);
		copy_addr(flow.remote_addr, remote);
		flow_emit(&flow);
	}
	return SK_PASS;
}

SEC("sk_lookup")
int weir_sk_lookup(struct bpf_sk_lookup *ctx)
{
	__u64 cookie = netns_cookie;
	__u8 local[16] WORDS, remote[16] WORDS;
	struct pod *pod;
	int is4;

	if (CTX_LOAD(ctx->protocol) != IPPROTO_TCP)
		return SK_PASS;
	pod = bpf_map_lookup_elem(&weir_pods, &cookie);
	if (!pod)
		return SK_PASS;
	addresses(ctx, local, remote);
	if (addr_is_local(local) || addr_is_local(remote))
		return SK_PASS;

	// By addresses, not by interface: what a pod sends to its own address
	// arrives on lo with eth0's index.
	if (!is_among_addrs(pod, remote)) {
		if (!is_among_addrs(pod, local) || is_from_proxy(ctx))
			return SK_PASS;
		return inbound(ctx, pod, local, remote);
	}
	if (pod->rewrite || is_among_addrs(pod, local))
		return SK_PASS;

	// From the pod to a foreign address and yet delivered here: only the
	// route by mark does that.
	is4 = CTX_LOAD(ctx->family) == AF_INET;
	if (assign(ctx, pod, is4 ? LISTENER_OUTBOUND4 : LISTENER_OUTBOUND6)) {
		count(COUNT_FAILED);
		return SK_DROP;
	}
	return SK_PASS;
}
