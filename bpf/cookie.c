//go:build ignore

// SPDX-License-Identifier: Apache-2.0
//
// cgroup/connect4, for kernels before 5.14, which have no SO_NETNS_COOKIE: tell
// the cookie of a socket's network namespace to whoever marked the socket for
// it. It is an object of its own, loaded for the moment of asking.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, __u64);
} weir_sk_cookie SEC(".maps");

SEC("cgroup/connect4")
int weir_netns_cookie(struct bpf_sock_addr *ctx)
{
	__u64 *cookie = bpf_sk_storage_get(&weir_sk_cookie, ctx->sk, 0, 0);

	if (!cookie)
		return 1;
	*cookie = bpf_get_netns_cookie(ctx);
	return 0; // it was to tell, not to connect
}

char _license[] SEC("license") = "Apache-2.0";
