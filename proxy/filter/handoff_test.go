package filter_test

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/weirproxy/weir/internal/listenerrig"
)

// TestHandOffToTheOriginalDestination has the PROXY protocol say where
// connections were going: with use_original_dst another listener takes them,
// by its exact address, else by its port; the first one keeps the rest.
func TestHandOffToTheOriginalDestination(t *testing.T) {
	r := newRig(t)
	addr := r.MustAdd("name: front\nuse_original_dst: true\nstat_prefix: front\naddress: {socket_address: {address: 127.0.0.1, port_value: 0}}\n" + filters + "filter_chains: [{filters: [" + responder("front") + "]}]\n")
	for name, to := range map[string]string{"exact": "address: 10.0.0.1, port_value: 80", "port": "address: 0.0.0.0, port_value: 80", "port6": `address: "::", port_value: 81`} {
		r.MustAdd(fmt.Sprintf("name: %s\nbind_to_port: false\nstat_prefix: %s\naddress: {socket_address: {%s}}\nfilter_chains: [{filters: [%s]}]\n", name, name, to, responder(name)))
	}
	for _, c := range []struct{ dst, want string }{
		{"TCP4 9.9.9.9 10.0.0.1 1 80", "exact"},
		{"TCP4 9.9.9.9 10.0.0.2 1 80", "port"},
		{"TCP4 9.9.9.9 10.0.0.1 1 81", "front"}, // "::" is for IPv6 only here
		{"TCP6 2001:db8::1 2001:db8::2 1 81", "port6"},
		{"TCP4 9.9.9.9 10.0.0.1 1 82", "front"},
		{"UNKNOWN", "front"},
	} {
		conn := listenerrig.Dial(t, addr)
		io.WriteString(conn, "PROXY "+c.dst+"\r\nhello")
		conn.CloseWrite()
		if got, _ := io.ReadAll(conn); string(got) != c.want {
			t.Errorf("%s: answered by %q, want %q", strings.TrimSpace(c.dst), got, c.want)
		}
		conn.Close()
	}
	r.WantStat("listener.exact.downstream_cx_total", "1")
	r.WantStat("listener.front.downstream_cx_total", "3")
	for _, name := range []string{"front", "exact", "port", "port6"} {
		r.WantStat("listener."+name+".downstream_cx_active", "0")
	}
	if n := r.Manager.Connections(); n != 0 {
		t.Errorf("%d connections left", n)
	}
}
