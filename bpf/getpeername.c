//go:build ignore

// SPDX-License-Identifier: Apache-2.0
//
// cgroup/getpeername4 and getpeername6: an app whose connect was rewritten or
// balanced sees the peer that it asked for.
#include "helpers.h"

// A rewritten connection's is found by its addresses; the socket itself keeps a
// balanced one's.
static __always_inline struct orig *clients_orig(struct bpf_sock_addr *ctx, struct conn *conn)
{
	struct orig *orig;

	conn->local_port = ctx->sk->src_port;
	conn->remote_port = bpf_ntohs(CTX_LOAD(ctx->user_port));
	orig = bpf_map_lookup_elem(&weir_conn_orig, conn);
	if (orig)
		return orig;
	orig = bpf_sk_storage_get(&weir_sk_orig, ctx->sk, 0, 0);
	return orig && orig->role != ORIG_ACCEPTED ? orig : 0;
}

SEC("cgroup/getpeername4")
int weir_getpeername4(struct bpf_sock_addr *ctx)
{
	struct conn conn = {};
	struct orig *orig;

	addr_from4(conn.local_addr, CTX_LOAD(ctx->sk->src_ip4));
	addr_from4(conn.remote_addr, CTX_LOAD(ctx->user_ip4));
	orig = clients_orig(ctx, &conn);
	if (orig) {
		ctx->user_ip4 = addr_word(orig->addr, 3);
		ctx->user_port = bpf_htons(orig->port);
	}
	return 1;
}

SEC("cgroup/getpeername6")
int weir_getpeername6(struct bpf_sock_addr *ctx)
{
	struct conn conn = {};
	struct orig *orig;

	addr_from6(conn.local_addr, CTX_LOAD(ctx->sk->src_ip6[0]), CTX_LOAD(ctx->sk->src_ip6[1]),
		   CTX_LOAD(ctx->sk->src_ip6[2]), CTX_LOAD(ctx->sk->src_ip6[3]));
	addr_from6(conn.remote_addr, CTX_LOAD(ctx->user_ip6[0]), CTX_LOAD(ctx->user_ip6[1]),
		   CTX_LOAD(ctx->user_ip6[2]), CTX_LOAD(ctx->user_ip6[3]));
	orig = clients_orig(ctx, &conn);
	if (orig) {
		ctx->user_ip6[0] = addr_word(orig->addr, 0);
		ctx->user_ip6[1] = addr_word(orig->addr, 1);
		ctx->user_ip6[2] = addr_word(orig->addr, 2);
		ctx->user_ip6[3] = addr_word(orig->addr, 3);
		ctx->user_port = bpf_htons(orig->port);
	}
	return 1;
}
