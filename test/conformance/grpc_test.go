//go:build e2e

package conformance

import (
	"fmt"
	"net"
	"os/exec"
	"testing"
	"time"
)

const grpcVersion = "v1.85.0"

// TestGRPCInterop runs gRPC's interoperability tests through weir. Those left
// out need Google's cloud, or (pick_first_unary) fail without a proxy as well.
func TestGRPCInterop(t *testing.T) {
	client, server := tool(t, "google.golang.org/grpc/interop/client", grpcVersion), tool(t, "google.golang.org/grpc/interop/server", grpcVersion)
	port := freePort()
	origin := exec.CommandContext(t.Context(), server, "-port", fmt.Sprint(port))
	if err := origin.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { origin.Wait() })
	await(t, port)
	p := startWeir(t, options{upstream: port, http2: true})
	for _, name := range []string{"empty_unary", "large_unary", "client_streaming", "server_streaming", "ping_pong", "empty_stream",
		"timeout_on_sleeping_server", "cancel_after_begin", "cancel_after_first_response", "status_code_and_message",
		"special_status_message", "custom_metadata", "unimplemented_method", "unimplemented_service", "orca_per_rpc", "orca_oob"} {
		t.Run(name, func(t *testing.T) {
			out, err := exec.CommandContext(t.Context(), client, "-server_host", "127.0.0.1", "-server_port", fmt.Sprint(p.port), "-test_case", name,
				"-service_config_json", `{"loadBalancingConfig":[{"test_backend_metrics_load_balancer":{}}]}`).CombinedOutput()
			if err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// await waits until something listens.
func await(t *testing.T, port int) {
	t.Helper()
	for end := time.Now().Add(15 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			c.Close()
			return
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}
