// SPDX-License-Identifier: Apache-2.0
//
// Connect-time load balancing: a connection to a service that is to be plain
// TCP goes to one of its endpoints, past the proxy.
#pragma once

#include "helpers.h"

static __always_inline const struct lb_addr *pick_endpoint(const struct lb_addr *to)
{
	struct lb_service *service = bpf_map_lookup_elem(&weir_lb_services, to);
	struct lb_endpoint key = {};
	__u32 count;

	if (!service)
		return 0;
	count = service->count;
	if (!count)
		return 0;
	key.generation = service->generation;
	key.index = bpf_get_prandom_u32() % count;
	return bpf_map_lookup_elem(&weir_lb_endpoints, &key);
}

// Endpoints that change meanwhile are found the second time.
static __always_inline const struct lb_addr *endpoint_of(const __u8 *addr, __u16 port)
{
	struct lb_addr to = { .port = port };
	const struct lb_addr *endpoint;

	copy_addr(to.addr, addr);
	endpoint = pick_endpoint(&to);
	if (!endpoint)
		endpoint = pick_endpoint(&to);
	return endpoint;
}
