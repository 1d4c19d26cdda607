package listener_test

import (
	"strings"
	"testing"

	"github.com/weirproxy/weir/internal/listenerrig"
)

// byAddress picks the chain named like its argument for clients of 127.0.0.1.
func byAddress(name string) string {
	return `
name: a
stat_prefix: a
address: {socket_address: {address: 127.0.0.1, port_value: 0}}
filter_chain_matcher: {matcher_tree: {input: {name: i, typed_config: {"@type": type.googleapis.com/envoy.extensions.matching.common_inputs.network.v3.SourceIPInput}}, exact_match_map: {map: {127.0.0.1: {action: {name: a, typed_config: {"@type": type.googleapis.com/google.protobuf.StringValue, value: ` + name + `}}}}}}}
filter_chains: [{name: one, filters: [` + listenerrig.Echo("one") + `]}, {name: two, filters: [` + listenerrig.Echo("two") + `]}]
`
}

func TestFilterChainMatcher(t *testing.T) {
	r := listenerrig.New(t, listenerrig.Options{})
	addr := r.MustAdd(byAddress("two"))
	if got := hello(t, addr); got != "two" {
		t.Fatalf("chain %q", got)
	}
	// Another tree is put in place under the connections.
	r.MustAdd(byAddress("one"))
	if got := hello(t, addr); got != "one" {
		t.Fatalf("after the update: chain %q", got)
	}
	r.WantStat("listener_manager.listener_in_place_updated", "1")
	r.MustAdd(byAddress("none"))
	if got := hello(t, addr); got != "" {
		t.Fatalf("a chain that is not there: %q", got)
	}
	r.WantStat("listener.a.no_filter_chain_match", "1")
}

// hello is the tag of the echo that answers at addr, "" when none does.
func hello(t *testing.T, addr string) string {
	t.Helper()
	c := listenerrig.Dial(t, addr)
	c.Write([]byte("x"))
	b := make([]byte, 100)
	n, _ := c.Read(b)
	tag, _, _ := strings.Cut(string(b[:n]), " ")
	return tag
}

func TestFilterChainMatcherNeedsNames(t *testing.T) {
	r := listenerrig.New(t, listenerrig.Options{})
	for _, name := range []string{"", "two"} {
		err := r.Add(strings.Replace(byAddress("two"), "name: one, filters", "name: '"+name+"', filters", 1))
		if err == nil || !strings.Contains(err.Error(), ".name: ") {
			t.Errorf("name %q: error %v", name, err)
		}
	}
}
