//go:build ignore

// SPDX-License-Identifier: Apache-2.0
//
// cgroup/connect4 and connect6: catch a managed pod's outbound TCP
// connections, by mark or by rewriting, and leave everyone else alone.
#include "balance.h"
#include "exclude.h"

#define SO_MARK 36

// What is the proxy's own is left as it is: its socket may have a mark.
enum action { LEAVE, LEAVE_AS_IS, DENY, MARK, REWRITE, BALANCE };

struct dest {
	__u8 addr[16] WORDS;
	__u16 port;
};

static __always_inline struct pod *connecting_pod(struct bpf_sock_addr *ctx)
{
	__u64 cookie;

	if (CTX_LOAD(ctx->type) != SOCK_STREAM || CTX_LOAD(ctx->protocol) != IPPROTO_TCP)
		return 0;
	cookie = bpf_get_netns_cookie(ctx);
	return bpf_map_lookup_elem(&weir_pods, &cookie);
}

static __always_inline void report(const struct settings *settings, const struct pod *pod,
				   const struct dest *dst, enum flow_verdict verdict)
{
	struct flow flow = {};

	if (!settings->flows)
		return;
	flow_init(&flow, pod, dst->addr, dst->port, verdict);
	flow.pid = bpf_get_current_pid_tgid() >> 32;
	bpf_get_current_comm(flow.comm, sizeof(flow.comm));
	flow_emit(&flow);
}

static __always_inline enum action fall_back(const struct settings *settings, const struct pod *pod,
					     const struct dest *dst)
{
	if (pod->fail_open) {
		report(settings, pod, dst, FLOW_LEFT_ALONE);
		return LEAVE;
	}
	report(settings, pod, dst, FLOW_DENIED);
	return DENY;
}

static __always_inline int is_proxys(struct bpf_sock_addr *ctx)
{
	if (!bpf_sk_storage_get(&weir_sk_bypass, ctx->sk, 0, 0))
		return 0;
	count(COUNT_BYPASS_SOCKET);
	return 1;
}

static __always_inline int is_exempt(const struct pod *pod, const struct dest *dst)
{
	if (addr_is_link_local6(dst->addr) || (addr_is_loopback(dst->addr) && !pod->loopback) ||
	    addr_is_pods(pod, dst->addr)) {
		count(COUNT_OWN_ADDRESS);
		return 1;
	}
	if (pod->proxy_cgroup && pod->proxy_cgroup == bpf_get_current_cgroup_id())
		return 1;
	return is_excluded(pod, dst->addr, dst->port);
}

static __always_inline int pod_has_family(const struct pod *pod, const struct dest *dst)
{
	if (addr_is4(dst->addr))
		return addr_word(pod->ip4, 0) != 0;
	return addr_word(pod->ip6, 0) || addr_word(pod->ip6, 1) || addr_word(pod->ip6, 2) || addr_word(pod->ip6, 3);
}

static __always_inline int mark(struct bpf_sock_addr *ctx, const struct pod *pod)
{
	__u32 value = pod->mark;

	return bpf_setsockopt(ctx, SOL_SOCKET, SO_MARK, &value, sizeof(value));
}

// sockops carries it on when the socket has a port. (To keep it with the socket
// would take twice as long: its storage must be allocated.)
static __always_inline int remember(struct bpf_sock_addr *ctx, const struct pod *pod, const struct dest *dst)
{
	struct connecting connecting = { .orig = { .port = dst->port, .role = ORIG_CLIENT } };
	__u64 cookie = bpf_get_socket_cookie(ctx);

	copy_addr(connecting.orig.addr, dst->addr);
	if (addr_is4(dst->addr)) {
		addr_from4(connecting.to_addr, addr_word(pod->ip4, 0));
		connecting.to_port = pod->outbound4_port;
	} else {
		copy_addr(connecting.to_addr, pod->ip6);
		connecting.to_port = pod->outbound6_port;
	}
	return bpf_map_update_elem(&weir_connecting, &cookie, &connecting, BPF_ANY);
}

// Nobody carries on where a balanced connection was going: the socket keeps it.
static __always_inline int remember_balanced(struct bpf_sock_addr *ctx, const struct dest *dst)
{
	struct orig *orig = bpf_sk_storage_get(&weir_sk_orig, ctx->sk, 0, BPF_SK_STORAGE_GET_F_CREATE);

	if (!orig)
		return -1;
	copy_addr(orig->addr, dst->addr);
	orig->port = dst->port;
	orig->role = ORIG_BALANCED;
	return 0;
}

// Makes dst an endpoint, if it is a service that has one.
static __always_inline int balance(struct bpf_sock_addr *ctx, const struct settings *settings, const struct pod *pod,
				   struct dest *dst)
{
	const struct lb_addr *endpoint;
	struct flow flow = {};

	if (!settings->balancing)
		return 0;
	endpoint = endpoint_of(dst->addr, dst->port);
	if (!endpoint || remember_balanced(ctx, dst))
		return 0;
	count(COUNT_BALANCED);
	if (settings->flows) {
		flow_init(&flow, pod, dst->addr, dst->port, FLOW_BALANCED);
		copy_addr(flow.remote_addr, endpoint->addr);
		flow.pid = bpf_get_current_pid_tgid() >> 32;
		bpf_get_current_comm(flow.comm, sizeof(flow.comm));
		flow_emit(&flow);
	}
	copy_addr(dst->addr, endpoint->addr);
	dst->port = endpoint->port;
	return 1;
}

static __always_inline enum action decide(struct bpf_sock_addr *ctx, const struct pod *pod, struct dest *dst)
{
	struct settings *settings = get_settings();
	int rewrite = pod->rewrite;
	int failed;

	if (is_proxys(ctx))
		return LEAVE_AS_IS;
	if (!settings || settings->bypass || is_exempt(pod, dst))
		return LEAVE;
	if (balance(ctx, settings, pod, dst))
		return BALANCE;
	if (proxy_is_silent(pod, settings)) {
		count(pod->fail_open ? COUNT_SILENT_OPEN : COUNT_SILENT_CLOSED);
		return fall_back(settings, pod, dst);
	}
	if (!pod_has_family(pod, dst) || unbind_device(ctx))
		failed = 1;
	else
		failed = rewrite ? remember(ctx, pod, dst) : mark(ctx, pod);
	if (failed) {
		count(COUNT_FAILED);
		return fall_back(settings, pod, dst);
	}
	count(rewrite ? COUNT_REWRITTEN : COUNT_MARKED);
	report(settings, pod, dst, rewrite ? FLOW_REWRITTEN : FLOW_MARKED);
	return rewrite ? REWRITE : MARK;
}

// A socket may connect again after a failure: that its last attempt was balanced
// must not answer for this one. (What a rewritten one left in weir_connecting
// does not: sockops sees that this one goes elsewhere.)
static __always_inline void forget_orig(struct bpf_sock_addr *ctx)
{
	bpf_sk_storage_delete(&weir_sk_orig, ctx->sk);
}

static __always_inline void unmark(struct bpf_sock_addr *ctx, const struct pod *pod)
{
	__u32 none = 0;

	if (!pod->rewrite && ctx->sk->mark == pod->mark)
		bpf_setsockopt(ctx, SOL_SOCKET, SO_MARK, &none, sizeof(none));
}

SEC("cgroup/connect4")
int weir_connect4(struct bpf_sock_addr *ctx)
{
	struct pod *pod = connecting_pod(ctx);
	struct dest dst = {};

	if (!pod)
		return 1;
	addr_from4(dst.addr, CTX_LOAD(ctx->user_ip4));
	dst.port = bpf_ntohs(CTX_LOAD(ctx->user_port));

	switch (decide(ctx, pod, &dst)) {
	case DENY:
		return 0;
	case REWRITE:
		ctx->user_ip4 = addr_word(pod->ip4, 0);
		ctx->user_port = bpf_htons(pod->outbound4_port);
		return 1;
	case BALANCE:
		unmark(ctx, pod);
		ctx->user_ip4 = addr_word(dst.addr, 3);
		ctx->user_port = bpf_htons(dst.port);
		return 1;
	case LEAVE:
		unmark(ctx, pod);
		forget_orig(ctx);
		return 1;
	case MARK:
		forget_orig(ctx);
		return 1;
	default:
		return 1;
	}
}

SEC("cgroup/connect6")
int weir_connect6(struct bpf_sock_addr *ctx)
{
	struct pod *pod = connecting_pod(ctx);
	struct dest dst = {};

	if (!pod)
		return 1;
	addr_from6(dst.addr, CTX_LOAD(ctx->user_ip6[0]), CTX_LOAD(ctx->user_ip6[1]), CTX_LOAD(ctx->user_ip6[2]),
		   CTX_LOAD(ctx->user_ip6[3]));
	dst.port = bpf_ntohs(CTX_LOAD(ctx->user_port));

	switch (decide(ctx, pod, &dst)) {
	case DENY:
		return 0;
	case REWRITE:
		if (addr_is4(dst.addr)) {
			ctx->user_ip6[3] = addr_word(pod->ip4, 0); // stays ::ffff:
			ctx->user_port = bpf_htons(pod->outbound4_port);
		} else {
			ctx->user_ip6[0] = addr_word(pod->ip6, 0);
			ctx->user_ip6[1] = addr_word(pod->ip6, 1);
			ctx->user_ip6[2] = addr_word(pod->ip6, 2);
			ctx->user_ip6[3] = addr_word(pod->ip6, 3);
			ctx->user_port = bpf_htons(pod->outbound6_port);
		}
		return 1;
	case BALANCE:
		unmark(ctx, pod);
		ctx->user_ip6[0] = addr_word(dst.addr, 0);
		ctx->user_ip6[1] = addr_word(dst.addr, 1);
		ctx->user_ip6[2] = addr_word(dst.addr, 2);
		ctx->user_ip6[3] = addr_word(dst.addr, 3);
		ctx->user_port = bpf_htons(dst.port);
		return 1;
	case LEAVE:
		unmark(ctx, pod);
		forget_orig(ctx);
		return 1;
	case MARK:
		forget_orig(ctx);
		return 1;
	default:
		return 1;
	}
}
