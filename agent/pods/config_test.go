package pods

import (
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	c, err := parse([]byte(`
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
  exclude_outbound_cidrs: [10.8.0.0/16, "fd00::/8"]
  exclude_outbound_ports: [5432]
  exclude_uids: [101]
  dns: true
services:
- {name: shop/redis, address: "10.96.0.7:6379", endpoints: ["10.1.0.5:6379", "10.1.0.6:6380"]}
peers:
- {name: buyer, namespace: shop, addresses: [10.2.0.5, "fd00::5"], identity: {service_account: buyer}}
`))
	if err != nil {
		t.Fatal(err)
	}
	a, b := c.Pods[0], c.Pods[1]
	if len(c.Services) != 1 || len(c.Services[0].Endpoints) != 2 || c.Services[0].Address.Port() != 6379 {
		t.Errorf("services %+v", c.Services)
	}
	if len(c.Peers) != 1 || c.Peers[0].Key() != "shop/buyer" || len(c.Peers[0].Addresses) != 2 || c.Peers[0].Identity.ServiceAccount != "buyer" {
		t.Errorf("peers %+v", c.Peers)
	}
	if a.Key() != "default/a" || a.Mode != Mark || a.Policy != Closed || !*a.Inbound || a.OutboundPort != 15001 {
		t.Errorf("defaults: %+v", a)
	}
	if b.Key() != "shop/b" || b.Mode != Rewrite || b.Policy != Open || *b.Inbound || len(b.Addresses) != 2 || b.ExcludeInboundPorts[0] != 9090 ||
		len(b.CIDRs) != 2 || b.Ports[0] != 5432 || b.UIDs[0] != 101 || !*b.DNS {
		t.Errorf("as written: %+v", b)
	}
}

func TestExample(t *testing.T) {
	c, err := Load("../../examples/agent.yaml")
	if err != nil || len(c.Pods) != 3 || !c.Pods[2].External() {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestParseRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"pods: [{netns: /n}]":                                                                                                  "name: missing",
		"pods: [{name: a}]":                                                                                                    "netns or cgroup",
		"pods: [{name: a, netns: n}]":                                                                                          "not an absolute path",
		"pods: [{name: a, netns: /n, mode: magic}]":                                                                            `mode: "magic"`,
		"pods: [{name: a, netns: /n, policy: maybe}]":                                                                          `policy: "maybe"`,
		"pods: [{name: a, netns: /n, addresses: [127.0.0.1]}]":                                                                 "addresses[0]",
		"pods: [{name: a, netns: /n, proxy_cgroup: /c}]":                                                                       "proxy_cgroup: needs mode rewrite",
		"pods: [{name: a, netns: /n, colour: red}]":                                                                            `unknown field "colour"`,
		"pods: [{name: a, netns: /n}, {name: a, namespace: default, netns: /m}]":                                               "default/a is pods[0] already",
		"pods: [{name: a, netns: /n, exclude_inbound_ports: [70000]}]":                                                         "70000",
		"pods: [{name: a, netns: /n, exclude_outbound_cidrs: [10.8.0.1/16]}]":                                                  "is 10.8.0.0/16 meant",
		"pods: [{name: a, netns: /n, exclude_outbound_cidrs: [10.8.0.1]}]":                                                     "10.8.0.1",
		"pods: [{name: a, netns: /n, exclude_outbound_ports: [0]}]":                                                            "0 is not a port",
		`services: [{address: "10.96.0.7", endpoints: ["10.1.0.5:1"]}]`:                                                        "not an ip:port",
		`services: [{address: "10.96.0.7:1", endpoints: []}]`:                                                                  "1 to",
		`services: [{address: "10.96.0.7:1", endpoints: ["[fd00::1]:1"]}]`:                                                     "endpoints[0]",
		`services: [{address: "10.96.0.7:1", endpoints: ["127.0.0.1:1"]}]`:                                                     "endpoints[0]",
		`services: [{address: "10.96.0.7:1", endpoints: ["10.1.0.5:1"]}, {address: "10.96.0.7:1", endpoints: ["10.1.0.5:1"]}]`: "services[0] already",
		"peers: [{name: b}]":                         "addresses: there is none",
		"peers: [{addresses: [10.2.0.5]}]":           "name: it is missing",
		"peers: [{name: b, addresses: [127.0.0.1]}]": "addresses[0]",
		"peers: [{name: b, addresses: [10.2.0.5]}, {name: b, namespace: default, addresses: [10.2.0.6]}]": "default/b is peers[0] already",
		"pods: [{name: a, netns: /n, exclude_uids: [-1]}]":                                                "-1",
		"pods: [{name: a, netns: /n, mode: rewrite, inbound: false, proxy_cgroup: /c, dns: true}]":        "dns: a proxy in the pod",
	} {
		if _, err := parse([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\n  %v, want %q", text, err, want)
		}
	}
}
