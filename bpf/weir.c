//go:build ignore

// SPDX-License-Identifier: Apache-2.0
//
// One object of all hooks, so that they share their maps without a loader's help.
#include "connect.c"
#include "dns.c"
#include "getpeername.c"
#include "getsockopt.c"
#include "sk_lookup.c"
#include "sockops.c"

char _license[] SEC("license") = "Apache-2.0";
