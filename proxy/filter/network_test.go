package filter_test

import (
	"fmt"
	"io"
	"testing"

	"github.com/weirproxy/weir/internal/listenerrig"
	"github.com/weirproxy/weir/proxy/filter"
	"github.com/weirproxy/weir/proxy/filter/network/connectionlimit"
	"github.com/weirproxy/weir/proxy/filter/network/echo"
	"github.com/weirproxy/weir/proxy/listener"
)

// TestEchoUnderAConnectionLimit opens more connections than may be: those too
// many are closed, and a place is free again when one of the others ends.
func TestEchoUnderAConnectionLimit(t *testing.T) {
	for _, delay := range []string{"", ", delay: 0.01s"} {
		r := listenerrig.New(t, listenerrig.Options{Workers: 2, Factories: &listener.Factories{Network: filter.Network()}})
		addr := r.MustAdd(fmt.Sprintf("name: l\naddress: {socket_address: {address: 127.0.0.1, port_value: 0}}\nfilter_chains: [{filters: [{name: l, typed_config: {\"@type\": %s, stat_prefix: p, max_connections: 2%s}}, {name: e, typed_config: {\"@type\": %s}}]}]\n",
			connectionlimit.TypeURL, delay, echo.TypeURL))
		served := func() (io.Closer, bool) {
			c := listenerrig.Dial(t, addr)
			io.WriteString(c, "x")
			n, _ := c.Read(make([]byte, 1))
			return c, n == 1
		}
		first, ok := served()
		if _, also := served(); !ok || !also {
			t.Fatal("not served")
		}
		if _, ok := served(); ok {
			t.Error("one too many is served")
		}
		r.WantStat("connection_limit.p.limited_connections", "1")
		r.WantStat("connection_limit.p.active_connections", "2")
		first.Close()
		r.WantStat("connection_limit.p.active_connections", "1")
		if _, ok := served(); !ok {
			t.Error("not served although there is a place")
		}
	}
}
