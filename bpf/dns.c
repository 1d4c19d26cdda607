//go:build ignore

// SPDX-License-Identifier: Apache-2.0
//
// The DNS of managed pods: what they send to port 53 goes to the proxy, and its
// answers come from the server that was asked.
//
//	connect4, connect6          connected sockets
//	sendmsg4, sendmsg6          the others; sendmsg4 sees mapped addresses, too
//	recvmsg4, recvmsg6          whom an answer is from
//	getpeername4, getpeername6  whom a connected socket asks
#include "dns.h"
#include "exclude.h"

enum dns_action { DNS_LEAVE, DNS_DENY, DNS_CATCH };

// What is sent where.
struct question {
	__u8 addr[16] WORDS;
	__u32 alias; // N of its alias
	__u16 port;  // of the proxy there
};

static __always_inline int is_dns(struct bpf_sock_addr *ctx)
{
	return CTX_LOAD(ctx->user_port) == bpf_htons(DNS_PORT) && CTX_LOAD(ctx->type) == SOCK_DGRAM &&
	       CTX_LOAD(ctx->protocol) == IPPROTO_UDP;
}

static __always_inline void dns_report(const struct settings *settings, const struct pod *pod, const __u8 *addr,
				       enum flow_verdict verdict)
{
	struct flow flow = {};

	if (!settings->flows)
		return;
	flow_init(&flow, pod, addr, DNS_PORT, verdict);
	flow.pid = bpf_get_current_pid_tgid() >> 32;
	bpf_get_current_comm(flow.comm, sizeof(flow.comm));
	flow_emit(&flow);
}

static __always_inline int dns_is_exempt(struct bpf_sock_addr *ctx, const struct pod *pod, const __u8 *addr)
{
	if (bpf_sk_storage_get(&weir_sk_bypass, ctx->sk, 0, 0)) {
		count(COUNT_BYPASS_SOCKET);
		return 1;
	}
	if (addr_is_link_local6(addr) || (addr_is_loopback(addr) && !pod->loopback) ||
	    addr_is_pods(pod, addr)) {
		count(COUNT_OWN_ADDRESS);
		return 1;
	}
	return is_excluded(pod, addr, DNS_PORT);
}

// If stuck, the socket cannot reach an alias.
static __noinline int dns_decide(struct bpf_sock_addr *ctx, struct question *q, int stuck)
{
	__u64 cookie = bpf_get_netns_cookie(ctx);
	struct dns_pod *dns = bpf_map_lookup_elem(&weir_dns_pods, &cookie);
	struct settings *settings = get_settings();
	struct pod *pod;
	int index;

	if (!dns || !settings || settings->bypass)
		return DNS_LEAVE;
	pod = bpf_map_lookup_elem(&weir_pods, &cookie);
	q->port = addr_is4(q->addr) ? dns->port4 : dns->port6;
	if (!pod || !q->port || dns_is_exempt(ctx, pod, q->addr))
		return DNS_LEAVE;
	if (proxy_is_silent(pod, settings)) {
		count(pod->fail_open ? COUNT_SILENT_OPEN : COUNT_SILENT_CLOSED);
		dns_report(settings, pod, q->addr, pod->fail_open ? FLOW_LEFT_ALONE : FLOW_DENIED);
		return pod->fail_open ? DNS_LEAVE : DNS_DENY;
	}
	index = stuck ? -1 : dns_index(dns, q->addr);
	if (index < 0) {
		count(COUNT_DNS_LEFT_ALONE);
		return DNS_LEAVE;
	}
	q->alias = index + 1;
	count(COUNT_DNS);
	dns_report(settings, pod, q->addr, FLOW_DNS);
	return DNS_CATCH;
}

static __always_inline int dns_send4(struct bpf_sock_addr *ctx, int connecting)
{
	struct question q = {};

	if (!is_dns(ctx))
		return 1;
	addr_from4(q.addr, CTX_LOAD(ctx->user_ip4));
	switch (dns_decide(ctx, &q, !connecting && ctx->sk->bound_dev_if)) {
	case DNS_DENY:
		return 0;
	case DNS_CATCH:
		if (connecting && unbind_device(ctx))
			return 1;
		ctx->user_ip4 = bpf_htonl(DNS_ALIAS4 + q.alias);
		ctx->user_port = bpf_htons(q.port);
	}
	return 1;
}

static __always_inline int dns_send6(struct bpf_sock_addr *ctx, int connecting)
{
	struct question q = {};

	if (!is_dns(ctx))
		return 1;
	addr_from6(q.addr, CTX_LOAD(ctx->user_ip6[0]), CTX_LOAD(ctx->user_ip6[1]), CTX_LOAD(ctx->user_ip6[2]),
		   CTX_LOAD(ctx->user_ip6[3]));
	switch (dns_decide(ctx, &q, !connecting && ctx->sk->bound_dev_if)) {
	case DNS_DENY:
		return 0;
	case DNS_CATCH:
		if (connecting && unbind_device(ctx))
			return 1;
		if (addr_is4(q.addr)) {
			ctx->user_ip6[3] = bpf_htonl(DNS_ALIAS4 + q.alias); // stays ::ffff:
		} else {
			ctx->user_ip6[0] = bpf_htonl(DNS_ALIAS6_0);
			ctx->user_ip6[1] = bpf_htonl(DNS_ALIAS6_1);
			ctx->user_ip6[2] = 0;
			ctx->user_ip6[3] = bpf_htonl(q.alias);
		}
		ctx->user_port = bpf_htons(q.port);
	}
	return 1;
}

// The pod whose proxy listens on that port; 0: none.
static __always_inline struct dns_pod *dns_asker(struct bpf_sock_addr *ctx, int is4)
{
	__u64 cookie = bpf_get_netns_cookie(ctx);
	struct dns_pod *dns = bpf_map_lookup_elem(&weir_dns_pods, &cookie);
	__u16 port = bpf_ntohs(CTX_LOAD(ctx->user_port));

	return dns && port && port == (is4 ? dns->port4 : dns->port6) ? dns : 0;
}

// The N of an IPv4 alias; 0: it is none.
static __always_inline __u32 alias4(__u32 ip4)
{
	__u32 n = bpf_ntohl(ip4) - DNS_ALIAS4;

	return n <= DNS_SERVERS ? n : 0;
}

static __always_inline int dns_restore4(struct bpf_sock_addr *ctx)
{
	__u32 alias = alias4(CTX_LOAD(ctx->user_ip4));
	struct dns_pod *dns;
	const __u8 *server;

	if (!alias)
		return 1;
	dns = dns_asker(ctx, 1);
	server = dns ? dns_server(dns, alias - 1) : 0;
	if (server && addr_is4(server)) {
		ctx->user_ip4 = addr_word(server, 3);
		ctx->user_port = bpf_htons(DNS_PORT);
	}
	return 1;
}

static __always_inline int dns_restore6(struct bpf_sock_addr *ctx)
{
	__u8 addr[16] WORDS;
	struct dns_pod *dns;
	const __u8 *server;
	__u32 alias = 0;
	int is4;

	addr_from6(addr, CTX_LOAD(ctx->user_ip6[0]), CTX_LOAD(ctx->user_ip6[1]), CTX_LOAD(ctx->user_ip6[2]),
		   CTX_LOAD(ctx->user_ip6[3]));
	is4 = addr_is4(addr);
	if (is4)
		alias = alias4(addr_word(addr, 3));
	else if (addr_word(addr, 0) == bpf_htonl(DNS_ALIAS6_0) && addr_word(addr, 1) == bpf_htonl(DNS_ALIAS6_1) &&
		 !addr_word(addr, 2))
		alias = bpf_ntohl(addr_word(addr, 3));
	if (!alias)
		return 1;
	dns = dns_asker(ctx, is4);
	server = dns ? dns_server(dns, alias - 1) : 0;
	if (server && addr_is4(server) == is4) {
		ctx->user_ip6[0] = addr_word(server, 0);
		ctx->user_ip6[1] = addr_word(server, 1);
		ctx->user_ip6[2] = addr_word(server, 2);
		ctx->user_ip6[3] = addr_word(server, 3);
		ctx->user_port = bpf_htons(DNS_PORT);
	}
	return 1;
}

SEC("cgroup/connect4")
int weir_dns_connect4(struct bpf_sock_addr *ctx)
{
	return dns_send4(ctx, 1);
}

SEC("cgroup/connect6")
int weir_dns_connect6(struct bpf_sock_addr *ctx)
{
	return dns_send6(ctx, 1);
}

SEC("cgroup/sendmsg4")
int weir_dns_sendmsg4(struct bpf_sock_addr *ctx)
{
	return dns_send4(ctx, 0);
}

SEC("cgroup/sendmsg6")
int weir_dns_sendmsg6(struct bpf_sock_addr *ctx)
{
	return dns_send6(ctx, 0);
}

SEC("cgroup/recvmsg4")
int weir_dns_recvmsg4(struct bpf_sock_addr *ctx)
{
	return dns_restore4(ctx);
}

SEC("cgroup/recvmsg6")
int weir_dns_recvmsg6(struct bpf_sock_addr *ctx)
{
	return dns_restore6(ctx);
}

SEC("cgroup/getpeername4")
int weir_dns_getpeername4(struct bpf_sock_addr *ctx)
{
	return dns_restore4(ctx);
}

SEC("cgroup/getpeername6")
int weir_dns_getpeername6(struct bpf_sock_addr *ctx)
{
	return dns_restore6(ctx);
}
