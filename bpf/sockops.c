//go:build ignore

// SPDX-License-Identifier: Apache-2.0
//
// sockops: carry the original destination of a rewritten connection from the
// client's socket, by its 4-tuple, to the accepted socket.
#include "helpers.h"

// The IPv4 fields are loaded first, or clang turns the two branches into one
// load through a computed context pointer, which the verifier refuses.
static __always_inline void local_addr(struct bpf_sock_ops *ctx, __u8 *addr)
{
	__u32 ip4 = CTX_LOAD(ctx->local_ip4);

	if (CTX_LOAD(ctx->family) == AF_INET)
		addr_from4(addr, ip4);
	else
		addr_from6(addr, CTX_LOAD(ctx->local_ip6[0]), CTX_LOAD(ctx->local_ip6[1]),
			   CTX_LOAD(ctx->local_ip6[2]), CTX_LOAD(ctx->local_ip6[3]));
}

static __always_inline void remote_addr(struct bpf_sock_ops *ctx, __u8 *addr)
{
	__u32 ip4 = CTX_LOAD(ctx->remote_ip4);

	if (CTX_LOAD(ctx->family) == AF_INET)
		addr_from4(addr, ip4);
	else
		addr_from6(addr, CTX_LOAD(ctx->remote_ip6[0]), CTX_LOAD(ctx->remote_ip6[1]),
			   CTX_LOAD(ctx->remote_ip6[2]), CTX_LOAD(ctx->remote_ip6[3]));
}

// The context's remote port is a big-endian 32-bit number, its local port is not.
static __always_inline __u16 remote_port(struct bpf_sock_ops *ctx)
{
	return bpf_ntohl(CTX_LOAD(ctx->remote_port));
}

static __always_inline void client_connects(struct bpf_sock_ops *ctx, struct bpf_sock *sk)
{
	struct orig *orig = bpf_sk_storage_get(&weir_sk_orig, sk, 0, 0);
	struct conn conn = {};
	struct orig value;

	if (!orig || orig->role != ORIG_CLIENT)
		return;
	value = *orig;
	local_addr(ctx, conn.local_addr);
	remote_addr(ctx, conn.remote_addr);
	conn.local_port = CTX_LOAD(ctx->local_port);
	conn.remote_port = remote_port(ctx);
	bpf_map_update_elem(&weir_conn_orig, &conn, &value, BPF_ANY);
}

static __always_inline void proxy_accepts(struct bpf_sock_ops *ctx, struct bpf_sock *sk)
{
	struct orig *found, *orig;
	struct conn conn = {};

	remote_addr(ctx, conn.local_addr);
	local_addr(ctx, conn.remote_addr);
	conn.local_port = remote_port(ctx);
	conn.remote_port = CTX_LOAD(ctx->local_port);
	found = bpf_map_lookup_elem(&weir_conn_orig, &conn);
	if (!found)
		return;
	orig = bpf_sk_storage_get(&weir_sk_orig, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (orig) {
		*orig = *found;
		orig->role = ORIG_ACCEPTED;
	} else {
		count(COUNT_FAILED);
	}
	bpf_map_delete_elem(&weir_conn_orig, &conn);
}

SEC("sockops")
int weir_sockops(struct bpf_sock_ops *ctx)
{
	__u32 op = CTX_LOAD(ctx->op);
	struct bpf_sock *sk;

	if (op != BPF_SOCK_OPS_TCP_CONNECT_CB && op != BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB)
		return 1;
	sk = ctx->sk; // once: the verifier sees two loads as two sockets
	if (!sk)
		return 1;
	if (op == BPF_SOCK_OPS_TCP_CONNECT_CB)
		client_connects(ctx, sk);
	else
		proxy_accepts(ctx, sk);
	return 1;
}
