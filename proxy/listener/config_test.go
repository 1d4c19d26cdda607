package listener_test

import (
	"strings"
	"testing"

	"github.com/weirproxy/weir/internal/listenerrig"
)

// TestRefusedConfigurations checks that each error names its place, and that
// nothing is left behind.
func TestRefusedConfigurations(t *testing.T) {
	r := listenerrig.New(t, listenerrig.Options{})
	taken := r.MustAdd("name: other\naddress: {socket_address: {address: 127.0.0.1, port_value: " + itoa(freePort(t)) + "}}\n" + chain("x"))
	_, port, _ := strings.Cut(taken, ":")
	const address = "address: {socket_address: {address: 127.0.0.1, port_value: 0}}\n"
	for _, c := range []struct{ name, config, want string }{
		{"no chains", address, `listener.filter_chains: listener "a" has no filter chains`},
		{"no address", chain("x"), `listener.address: listener "a" has no address`},
		{"a name for an address", "address: {socket_address: {address: localhost, port_value: 1}}\n" + chain("x"), `listener.address.socket_address.address: "localhost" is not an IP address`},
		{"taken", "address: {socket_address: {address: 127.0.0.1, port_value: " + port + "}}\n" + chain("x"), `listener.address: listener "a" has the address ` + taken + ` of listener "other"`},
		{"not ours", "address: {socket_address: {address: 192.0.2.1, port_value: 80}}\n" + chain("x"), "bind: cannot assign requested address"},
		{"unknown field", address + "api_listener: {}\n" + chain("x"), "weir does not support api_listener"},
		{"unknown network filter", address + `filter_chains: [{filters: [{name: none, typed_config: {"@type": type.googleapis.com/google.protobuf.Duration, value: 1s}}]}]`, `listener.filter_chains[0].filters[0].typed_config: weir has no network filter "none" of type google.protobuf.Duration`},
		{"unconfigured network filter", address + `filter_chains: [{filters: [{name: none}]}]`, `listener.filter_chains[0].filters[0].typed_config: network filter "none" has no configuration`},
		{"unknown listener filter", address + `listener_filters: [{name: none, typed_config: {"@type": type.googleapis.com/google.protobuf.Duration, value: 1s}}]` + "\n" + chain("x"), `listener.listener_filters[0].typed_config: weir has no listener filter "none"`},
		{"terminal filter in the middle", address + "filter_chains: [{filters: [" + listenerrig.Echo("x") + ", " + listenerrig.Echo("y") + "]}]", `listener.filter_chains[0].filters[0]: terminal filter "echo" must be the last`},
		{"chains that overlap", address + "filter_chains: [{filters: [" + listenerrig.Echo("x") + "]}, {filters: [" + listenerrig.Echo("y") + "]}]", "listener.filter_chains[1].filter_chain_match: "},
		{"unknown transport", address + `filter_chains: [{transport_socket: {name: none, typed_config: {"@type": type.googleapis.com/google.protobuf.Duration, value: 1s}}, filters: [` + listenerrig.Echo("x") + "]}]", `listener.filter_chains[0].transport_socket.typed_config: weir has no transport socket "none"`},
		{"balancer", address + "connection_balance_config: {cpu_locality_balance: {}}\n" + chain("x"), "listener.connection_balance_config: "},
		{"socket option", address + "socket_options: [{level: 99, name: 99, int_value: 1}]\n" + chain("x"), "set socket option 99 of level 99"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := r.Add("name: a\n" + c.config)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("error %v, want one with %q", err, c.want)
			}
			r.Main(func() {
				if d := r.Manager.Dump(); len(d) != 1 {
					t.Errorf("%d listeners are left, want the other one", len(d))
				}
			})
		})
	}
}
