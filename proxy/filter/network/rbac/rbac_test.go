package rbac_test

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/weirproxy/weir/internal/listenerrig"
	"github.com/weirproxy/weir/proxy/filter"
	"github.com/weirproxy/weir/proxy/filter/network/rbac"
	"github.com/weirproxy/weir/proxy/listener"
)

func start(t *testing.T, config string) (*listenerrig.Rig, string) {
	r := listenerrig.New(t, listenerrig.Options{Factories: &listener.Factories{Network: filter.Network()}})
	return r, r.MustAdd(fmt.Sprintf("name: l\naddress: {socket_address: {address: 127.0.0.1, port_value: 0}}\nfilter_chains: [{filters: [{name: rbac, typed_config: {\"@type\": %s, stat_prefix: x., %s}}, %s]}]\n",
		rbac.TypeURL, config, listenerrig.Echo("passed")))
}

func ask(t *testing.T, addr string) string {
	c := listenerrig.Dial(t, addr)
	io.WriteString(c, "hello")
	c.CloseWrite()
	b, _ := io.ReadAll(c) // a reset is an answer too
	return string(b)
}

const anyone = `{permissions: [{any: true}], principals: [{any: true}]}`

func TestConnections(t *testing.T) {
	for name, c := range map[string]struct {
		config  string
		allowed bool
	}{
		"allowed": {"rules: {policies: {p: " + anyone + "}}", true},
		"denied":  {"rules: {action: DENY, policies: {p: " + anyone + "}}", false},
		"late":    {"rules: {action: DENY, policies: {p: " + anyone + "}}, delay_deny: 0.01s", false},
		"shadow":  {"shadow_rules: {action: DENY, policies: {p: " + anyone + "}}", true},
		"always":  {"enforcement_type: CONTINUOUS, rules: {policies: {p: " + anyone + "}}", true},
		"logged":  {"rules: {action: LOG, policies: {}}", true},
	} {
		t.Run(name, func(t *testing.T) {
			r, addr := start(t, c.config)
			if got := ask(t, addr); strings.HasSuffix(got, "hello") != c.allowed {
				t.Errorf("got %q", got)
			}
			if strings.HasPrefix(c.config, "rules") && !c.allowed {
				r.WantStat("x.rbac.denied", "1")
			}
			if name == "shadow" {
				r.WantStat("x.rbac.shadow_denied", "1")
			}
		})
	}
}

func TestRefused(t *testing.T) {
	r := listenerrig.New(t, listenerrig.Options{Factories: &listener.Factories{Network: filter.Network()}})
	err := r.Add(fmt.Sprintf("name: l\naddress: {socket_address: {address: 127.0.0.1, port_value: 0}}\nfilter_chains: [{filters: [{name: rbac, typed_config: {\"@type\": %s, stat_prefix: x, rules: {policies: {p: {permissions: [{url_path: {path: {exact: /}}}], principals: [{any: true}]}}}}}, %s]}]\n", rbac.TypeURL, listenerrig.Echo("e")))
	if err == nil || !strings.Contains(err.Error(), "looks at requests") {
		t.Error(err)
	}
}
