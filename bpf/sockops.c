//go:build ignore

// SPDX-License-Identifier: Apache-2.0
//
// sockops: note where a rewritten connection was going by its 4-tuple, as soon
// as it has one and for as long as its client has the socket open, and keep it
// with the socket that the proxy accepts.
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

static __always_inline void clients_conn(struct bpf_sock_ops *ctx, struct conn *conn)
{
	local_addr(ctx, conn->local_addr);
	remote_addr(ctx, conn->remote_addr);
	conn->local_port = CTX_LOAD(ctx->local_port);
	conn->remote_port = remote_port(ctx);
}

// This program is told, too, when the socket is closed: sooner than it is freed,
// but then getpeername has no answer any more.
static __always_inline void client_connects(struct bpf_sock_ops *ctx)
{
	__u64 cookie = bpf_get_socket_cookie(ctx);
	struct connecting *connecting = bpf_map_lookup_elem(&weir_connecting, &cookie);
	struct conn conn = {};
	struct orig orig;

	if (!connecting)
		return;
	clients_conn(ctx, &conn);
	if (conn.remote_port == connecting->to_port && addr_is_same(conn.remote_addr, connecting->to_addr)) {
		orig = connecting->orig;
		bpf_map_update_elem(&weir_conn_orig, &conn, &orig, BPF_ANY);
		bpf_sock_ops_cb_flags_set(ctx, CTX_LOAD(ctx->bpf_sock_ops_cb_flags) | BPF_SOCK_OPS_STATE_CB_FLAG);
	}
	bpf_map_delete_elem(&weir_connecting, &cookie);
}

static __always_inline void client_closes(struct bpf_sock_ops *ctx)
{
	struct conn conn = {};

	clients_conn(ctx, &conn);
	bpf_map_delete_elem(&weir_conn_orig, &conn);
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
	}
}

SEC("sockops")
int weir_sockops(struct bpf_sock_ops *ctx)
{
	__u32 op = CTX_LOAD(ctx->op);
	struct bpf_sock *sk;

	switch (op) {
	case BPF_SOCK_OPS_TCP_CONNECT_CB:
		client_connects(ctx);
		break;
	case BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB:
		sk = ctx->sk; // once: the verifier sees two loads as two sockets
		if (sk)
			proxy_accepts(ctx, sk);
		break;
	case BPF_SOCK_OPS_STATE_CB:
		if (CTX_LOAD(ctx->args[1]) == BPF_TCP_CLOSE)
			client_closes(ctx);
	}
	return 1;
}
