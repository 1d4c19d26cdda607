package pods

import (
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	specs, err := parse([]byte(`
pods:
- name: a
  netns: /run/netns/a
- name: b
  namespace: shop
  cgroup: /sys/fs/cgroup/b
  addresses: [10.0.0.7, "fd00::7"]
  mode: rewrite
  policy: open
  inbound: false
  exclude_inbound_ports: [9090]
  dns: true
  exclude_outbound_cidrs: [10.8.0.0/16, "fd00::/8"]
  exclude_outbound_ports: [5432]
  exclude_uids: [101]
`))
	if err != nil {
		t.Fatal(err)
	}
	a, b := specs[0], specs[1]
	if a.Key() != "default/a" || a.Mode != Mark || a.Policy != Closed || !*a.Inbound || a.OutboundPort != 15001 {
		t.Errorf("defaults: %+v", a)
	}
	if b.Key() != "shop/b" || b.Mode != Rewrite || b.Policy != Open || *b.Inbound || len(b.Addresses) != 2 || b.ExcludeInboundPorts[0] != 9090 || !*b.DNS ||
		len(b.CIDRs) != 2 || b.Ports[0] != 5432 || b.UIDs[0] != 101 {
		t.Errorf("as written: %+v", b)
	}
}

func TestExample(t *testing.T) {
	specs, err := Load("../../examples/agent.yaml")
	if err != nil || len(specs) != 3 || !specs[2].External() {
		t.Errorf("%+v, %v", specs, err)
	}
}

func TestParseRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"pods: [{netns: /n}]":                                                                      "name: missing",
		"pods: [{name: a}]":                                                                        "netns or cgroup",
		"pods: [{name: a, netns: n}]":                                                              "not an absolute path",
		"pods: [{name: a, netns: /n, mode: magic}]":                                                `mode: "magic"`,
		"pods: [{name: a, netns: /n, policy: maybe}]":                                              `policy: "maybe"`,
		"pods: [{name: a, netns: /n, addresses: [127.0.0.1]}]":                                     "addresses[0]",
		"pods: [{name: a, netns: /n, proxy_cgroup: /c}]":                                           "proxy_cgroup: needs mode rewrite",
		"pods: [{name: a, netns: /n, colour: red}]":                                                `unknown field "colour"`,
		"pods: [{name: a, netns: /n}, {name: a, namespace: default, netns: /m}]":                   "default/a is pods[0] already",
		"pods: [{name: a, netns: /n, exclude_inbound_ports: [70000]}]":                             "70000",
		"pods: [{name: a, netns: /n, exclude_outbound_cidrs: [10.8.0.1/16]}]":                      "is 10.8.0.0/16 meant",
		"pods: [{name: a, netns: /n, exclude_outbound_cidrs: [10.8.0.1]}]":                         "10.8.0.1",
		"pods: [{name: a, netns: /n, exclude_outbound_ports: [0]}]":                                "0 is not a port",
		"pods: [{name: a, netns: /n, exclude_uids: [-1]}]":                                         "-1",
		"pods: [{name: a, netns: /n, mode: rewrite, inbound: false, proxy_cgroup: /c, dns: true}]": "dns: a proxy in the pod",
	} {
		if _, err := parse([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\n  %v, want %q", text, err, want)
		}
	}
}
