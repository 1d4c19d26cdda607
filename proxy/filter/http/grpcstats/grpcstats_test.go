package grpcstats_test

import (
	"testing"

	"github.com/weirproxy/weir/internal/filterrig"
	"github.com/weirproxy/weir/internal/httprig"
	"github.com/weirproxy/weir/proxy/filter/http/grpcstats"
)

func TestCounts(t *testing.T) {
	const message = "\x00\x00\x00\x00\x01x"
	for name, c := range map[string]struct{ config, prefix, path string }{
		"by cluster":     {"", "grpc.", "/a.S/M"},
		"by method":      {"stats_for_all_methods: true", "grpc.a.S.M.", "/a.S/M"},
		"without dots":   {"stats_for_all_methods: true, replace_dots_in_grpc_service_name: true", "grpc.a_S.M.", "/a.S/M"},
		"listed":         {"individual_method_stats_allowlist: {services: [{name: a.S, method_names: [M]}]}", "grpc.a.S.M.", "/a.S/M"},
		"not listed":     {"individual_method_stats_allowlist: {services: [{name: a.S, method_names: [M]}]}", "grpc.", "/a.S/N"},
		"upstream times": {"enable_upstream_stats: true", "grpc.", "/a.S/M"},
	} {
		t.Run(name, func(t *testing.T) {
			r := filterrig.Start(t, httprig.Options{}, "", filterrig.Filter("s", grpcstats.TypeURL, c.config))
			r.Do("POST", c.path, message+message, "content-type", "application/grpc", "x-do", "header=content-type:application/grpc;trailer=grpc-status:0;mirror")
			r.Do("POST", c.path, message, "content-type", "application/grpc", "x-do", "header=content-type:application/grpc;trailer=grpc-status:7")
			r.Do("POST", c.path, message, "content-type", "text/plain", "x-do", "header=grpc-status:0")
			for stat, want := range map[string]string{"success": "1", "failure": "1", "total": "2", "0": "1", "7": "1", "request_message_count": "3", "response_message_count": "2"} {
				r.WantStat("cluster.u."+c.prefix+stat, want)
			}
		})
	}
}
