// SPDX-License-Identifier: Apache-2.0
//
// Which outbound connections of a managed pod are left alone: by range of
// destinations, by port, by the user who connects.
#pragma once

#include "helpers.h"

static __always_inline int in_excluded_range(const struct pod *pod, const __u8 *addr)
{
	struct pod_cidr key = { .prefix_len = 32 + 128, .pod_id = pod->pod_id };

	copy_addr(key.addr, addr);
	return bpf_map_lookup_elem(&weir_out_cidrs, &key) != 0;
}

static __always_inline int is_excluded_port(const struct pod *pod, __u16 port)
{
	struct pod_port key = { .pod_id = pod->pod_id, .port = port };

	return bpf_map_lookup_elem(&weir_out_ports, &key) != 0;
}

static __always_inline int is_excluded_user(const struct pod *pod)
{
	struct pod_uid key = { .pod_id = pod->pod_id, .uid = (__u32)bpf_get_current_uid_gid() };

	return bpf_map_lookup_elem(&weir_out_uids, &key) != 0;
}

// Most pods exclude nothing and ask no map.
static __always_inline int is_excluded(const struct pod *pod, const __u8 *addr, __u16 port)
{
	if ((pod->out_cidrs && in_excluded_range(pod, addr)) || (pod->out_ports && is_excluded_port(pod, port)) ||
	    (pod->out_uids && is_excluded_user(pod))) {
		count(COUNT_EXCLUDED_OUTBOUND);
		return 1;
	}
	return 0;
}
