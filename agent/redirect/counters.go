package redirect

import (
	"fmt"

	"github.com/weirproxy/weir/bpf"
)

// counterNames name weir_counters for people, by index.
var counterNames = map[bpf.WeirCounter]string{
	bpf.WeirCounterCOUNT_MARKED:            "outbound_marked",
	bpf.WeirCounterCOUNT_REWRITTEN:         "outbound_rewritten",
	bpf.WeirCounterCOUNT_INBOUND:           "inbound",
	bpf.WeirCounterCOUNT_BYPASS_SOCKET:     "bypass_socket",
	bpf.WeirCounterCOUNT_OWN_ADDRESS:       "own_address",
	bpf.WeirCounterCOUNT_EXCLUDED_OUTBOUND: "excluded_outbound",
	bpf.WeirCounterCOUNT_EXCLUDED_PORT:     "excluded_port",
	bpf.WeirCounterCOUNT_SILENT_OPEN:       "proxy_silent_open",
	bpf.WeirCounterCOUNT_SILENT_CLOSED:     "proxy_silent_closed",
	bpf.WeirCounterCOUNT_FAILED:            "failed",
	bpf.WeirCounterCOUNT_FLOWS_LOST:        "flows_lost",
	bpf.WeirCounterCOUNT_DNS:               "dns",
	bpf.WeirCounterCOUNT_DNS_LEFT_ALONE:    "dns_left_alone",
}

// Counters are the programs' counters by name, summed over the CPUs.
func (r *Redirect) Counters() (map[string]uint64, error) {
	out := make(map[string]uint64, len(counterNames))
	for index, name := range counterNames {
		var perCPU []uint64
		if err := r.objects.WeirCounters.Lookup(uint32(index), &perCPU); err != nil {
			return nil, fmt.Errorf("weir_counters: %w", err)
		}
		for _, n := range perCPU {
			out[name] += n
		}
	}
	return out, nil
}
