//go:build ignore

// SPDX-License-Identifier: Apache-2.0
//
// cgroup/getsockopt: answer SO_ORIGINAL_DST and IP6T_SO_ORIGINAL_DST on the
// accepted socket of a rewritten connection, as netfilter would. The hook
// follows the cgroup of whoever created the listening socket.
#include "helpers.h"

#define SOL_IP 0
#define SOL_IPV6 41
#define SO_ORIGINAL_DST 80 // and IP6T_SO_ORIGINAL_DST
#define PAGE_SIZE 4096

struct sockaddr_in {
	__u16 family;
	__be16 port;
	__u32 addr;
	__u8 zero[8];
};

struct sockaddr_in6 {
	__u16 family;
	__be16 port;
	__u32 flowinfo;
	__u32 addr[4];
	__u32 scope_id;
};

static __always_inline int not_ours(struct bpf_sockopt *ctx)
{
	// The kernel's buffer ends at a page: a longer answer must be declared
	// untouched, or kernels before 6.4 turn it into EFAULT.
	if (ctx->optlen > PAGE_SIZE)
		CTX_STORE(ctx->optlen, 0);
	return 1;
}

static __always_inline int answer4(struct bpf_sockopt *ctx, const struct orig *orig)
{
	struct sockaddr_in *sin = ctx->optval;

	if ((void *)(sin + 1) > ctx->optval_end || !addr_is4(orig->addr))
		return not_ours(ctx);
	sin->family = AF_INET;
	sin->port = bpf_htons(orig->port);
	sin->addr = addr_word(orig->addr, 3);
	__builtin_memset(sin->zero, 0, sizeof(sin->zero));
	CTX_STORE(ctx->optlen, sizeof(*sin));
	CTX_STORE(ctx->retval, 0);
	return 1;
}

static __always_inline int answer6(struct bpf_sockopt *ctx, const struct orig *orig)
{
	struct sockaddr_in6 *sin6 = ctx->optval;

	if ((void *)(sin6 + 1) > ctx->optval_end)
		return not_ours(ctx);
	sin6->family = AF_INET6;
	sin6->port = bpf_htons(orig->port);
	sin6->flowinfo = 0;
	sin6->addr[0] = addr_word(orig->addr, 0);
	sin6->addr[1] = addr_word(orig->addr, 1);
	sin6->addr[2] = addr_word(orig->addr, 2);
	sin6->addr[3] = addr_word(orig->addr, 3);
	sin6->scope_id = 0;
	CTX_STORE(ctx->optlen, sizeof(*sin6));
	CTX_STORE(ctx->retval, 0);
	return 1;
}

// The socket has it, unless there was no memory for that: then the connection is
// still known as long as its client is there.
static __always_inline struct orig *accepted_orig(struct bpf_sock *sk)
{
	struct orig *orig = bpf_sk_storage_get(&weir_sk_orig, sk, 0, 0);
	__u32 client4 = CTX_LOAD(sk->dst_ip4), own4 = CTX_LOAD(sk->src_ip4); // see sockops.c
	struct conn conn = {};

	if (orig)
		return orig->role == ORIG_ACCEPTED ? orig : 0;
	if (sk->family == AF_INET) {
		addr_from4(conn.local_addr, client4);
		addr_from4(conn.remote_addr, own4);
	} else {
		addr_from6(conn.local_addr, CTX_LOAD(sk->dst_ip6[0]), CTX_LOAD(sk->dst_ip6[1]),
			   CTX_LOAD(sk->dst_ip6[2]), CTX_LOAD(sk->dst_ip6[3]));
		addr_from6(conn.remote_addr, CTX_LOAD(sk->src_ip6[0]), CTX_LOAD(sk->src_ip6[1]),
			   CTX_LOAD(sk->src_ip6[2]), CTX_LOAD(sk->src_ip6[3]));
	}
	conn.local_port = bpf_ntohs(sk->dst_port);
	conn.remote_port = sk->src_port;
	return bpf_map_lookup_elem(&weir_conn_orig, &conn);
}

SEC("cgroup/getsockopt")
int weir_getsockopt(struct bpf_sockopt *ctx)
{
	__s32 level = CTX_LOAD(ctx->level);
	struct bpf_sock *sk = ctx->sk;
	struct orig *orig;

	if (CTX_LOAD(ctx->optname) != SO_ORIGINAL_DST || (level != SOL_IP && level != SOL_IPV6) || !sk)
		return not_ours(ctx);
	orig = accepted_orig(sk);
	if (!orig)
		return not_ours(ctx);
	return level == SOL_IP ? answer4(ctx, orig) : answer6(ctx, orig);
}
