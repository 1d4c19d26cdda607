//go:build ignore

// SPDX-License-Identifier: Apache-2.0
//
// cgroup/getpeername4 and getpeername6: an app whose connect was rewritten or
// balanced sees the peer that it asked for.
#include "helpers.h"

static __always_inline struct orig *clients_orig(struct bpf_sock_addr *ctx)
{
	struct orig *orig = bpf_sk_storage_get(&weir_sk_orig, ctx->sk, 0, 0);

	return orig && (orig->role == ORIG_CLIENT || orig->role == ORIG_BALANCED) ? orig : 0;
}

SEC("cgroup/getpeername4")
int weir_getpeername4(struct bpf_sock_addr *ctx)
{
	struct orig *orig = clients_orig(ctx);

	if (orig) {
		ctx->user_ip4 = addr_word(orig->addr, 3);
		ctx->user_port = bpf_htons(orig->port);
	}
	return 1;
}

SEC("cgroup/getpeername6")
int weir_getpeername6(struct bpf_sock_addr *ctx)
{
	struct orig *orig = clients_orig(ctx);

	if (orig) {
		ctx->user_ip6[0] = addr_word(orig->addr, 0);
		ctx->user_ip6[1] = addr_word(orig->addr, 1);
		ctx->user_ip6[2] = addr_word(orig->addr, 2);
		ctx->user_ip6[3] = addr_word(orig->addr, 3);
		ctx->user_port = bpf_htons(orig->port);
	}
	return 1;
}
