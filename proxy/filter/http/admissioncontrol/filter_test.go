package admissioncontrol_test

import (
	"testing"

	"github.com/weirproxy/weir/internal/filterrig"
	"github.com/weirproxy/weir/internal/httprig"
	"github.com/weirproxy/weir/proxy/filter/http/admissioncontrol"
)

func filter(config string) string { return filterrig.Filter("a", admissioncontrol.TypeURL, config) }

func TestRejects(t *testing.T) {
	r := filterrig.Start(t, httprig.Options{}, "", filter("success_criteria: {}, max_rejection_probability: {default_value: {value: 100}, runtime_key: x}, aggression: {default_value: 100000, runtime_key: z}"))
	if a := r.Get("/", "x-do", "status=503"); !a.Reached() {
		t.Fatalf("the first: %+v", a)
	}
	rejected := 0
	for range 200 {
		if a := r.Get("/"); a.Status == 503 && !a.Reached() && a.Body == "" {
			rejected++
		}
	}
	if rejected < 150 {
		t.Errorf("%d of 200 rejected", rejected)
	}
}

// TestLetsThrough: below the threshold of requests nothing is rejected, but
// all are counted.
func TestLetsThrough(t *testing.T) {
	r := filterrig.Start(t, httprig.Options{}, "", filter("success_criteria: {http_criteria: {http_success_status: [{start: 503, end: 504}]}, grpc_criteria: {grpc_success_status: [14]}}, rps_threshold: {default_value: 1000, runtime_key: x}"))
	for _, do := range []string{"status=503", "status=200", "header=content-type:application/grpc;trailer=grpc-status:14", "header=content-type:application/grpc;trailer=grpc-status:0"} {
		if a := r.Get("/", "x-do", do); !a.Reached() {
			t.Errorf("%s: %+v", do, a)
		}
	}
	r.WantStat("http.in.admission_control.rq_success", "2")
	r.WantStat("http.in.admission_control.rq_failure", "2")
	r.WantStat("http.in.admission_control.rq_rejected", "0")
}

func TestRefused(t *testing.T) {
	filterrig.WantRefused(t, "cannot be less than 1.0%", "", filter("success_criteria: {}, sr_threshold: {default_value: {value: 0.5}, runtime_key: x}"))
	filterrig.WantRefused(t, "invalid HTTP range: [99, 100)", "", filter("success_criteria: {http_criteria: {http_success_status: [{start: 99, end: 100}]}}"))
	filterrig.WantRefused(t, "invalid gRPC code: 17", "", filter("success_criteria: {grpc_criteria: {grpc_success_status: [17]}}"))
}
