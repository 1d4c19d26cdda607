// SPDX-License-Identifier: Apache-2.0
//
// Connect-time load balancing: a connection to a service that is to be plain
// TCP goes to one of its endpoints, past the proxy.
#pragma once

#include "helpers.h"

static __always_inline const struct lb_addr *pick_endpoint(const struct lb_service *service)
{
	struct lb_endpoint key = {};
	__u32 count = service->count;

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
	struct lb_service *service;

	copy_addr(to.addr, addr);
	service = bpf_map_lookup_elem(&weir_lb_services, &to);
	if (!service)
		return 0;
	endpoint = pick_endpoint(service);
	if (endpoint)
		return endpoint;
	service = bpf_map_lookup_elem(&weir_lb_services, &to);
	return service ? pick_endpoint(service) : 0;
}
