package localratelimit_test

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/weirproxy/weir/internal/listenerrig"
	"github.com/weirproxy/weir/proxy/filter"
	onaccept "github.com/weirproxy/weir/proxy/filter/listener/localratelimit"
	"github.com/weirproxy/weir/proxy/filter/network/localratelimit"
	"github.com/weirproxy/weir/proxy/listener"
)

// TestConnectionsAboveTheRate has both filters, of connections and of
// accepted sockets, let two pass.
func TestConnectionsAboveTheRate(t *testing.T) {
	const config = "stat_prefix: p, token_bucket: {max_tokens: 2, fill_interval: 1000s}"
	for stat, listenerConfig := range map[string]string{
		"local_rate_limit.p.rate_limited":         fmt.Sprintf("filter_chains: [{filters: [{name: l, typed_config: {\"@type\": %s, %s}}, %s]}]\n", localratelimit.TypeURL, config, listenerrig.Echo("e")),
		"listener_local_ratelimit.p.rate_limited": fmt.Sprintf("listener_filters: [{name: l, typed_config: {\"@type\": %s, %s}}]\nfilter_chains: [{filters: [%s]}]\n", onaccept.TypeURL, config, listenerrig.Echo("e")),
	} {
		r := listenerrig.New(t, listenerrig.Options{Workers: 2, Factories: &listener.Factories{Network: filter.Network(), Listener: filter.Listener()}})
		addr := r.MustAdd("name: l\naddress: {socket_address: {address: 127.0.0.1, port_value: 0}}\n" + listenerConfig)
		passed := 0
		for range 4 {
			c := listenerrig.Dial(t, addr)
			io.WriteString(c, "hello")
			c.CloseWrite()
			if b, _ := io.ReadAll(c); strings.HasSuffix(string(b), "hello") {
				passed++
			}
		}
		if passed != 2 {
			t.Errorf("%d connections passed", passed)
		}
		r.WantStat(stat, "2")
	}
}
