package dnsfilter

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"net/netip"

	"google.golang.org/protobuf/types/known/anypb"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/listener"
	"github.com/weirproxy/weir/xds/decode"
)

const table = `
virtual_domains:
- name: given.mesh
  endpoint: {address_list: {address: [10.1.2.3, "fd00::3", "::ffff:10.1.2.4"]}}
  answer_ttl: 60s
- name: web.mesh
  endpoint: {cluster_name: web}
- name: host.mesh
`

func config(t *testing.T, text string) *anypb.Any {
	t.Helper()
	a := &anypb.Any{}
	if err := decode.Unmarshal([]byte("'@type': "+TypeURL+"\n"+text), decode.YAML, a); err != nil {
		t.Fatal(err)
	}
	return a
}

func inline(table string) string {
	return "stat_prefix: dns\nserver_config: {inline_dns_table: {" + table + "}}"
}

func TestTable(t *testing.T) {
	want := &Table{Names: []Name{
		{Name: "given.mesh", Addresses: []netip.Addr{netip.MustParseAddr("10.1.2.3"), netip.MustParseAddr("fd00::3"), netip.MustParseAddr("10.1.2.4")}, TTL: time.Minute},
		{Name: "web.mesh", Cluster: "web", TTL: defaultTTL},
		{Name: "host.mesh", TTL: defaultTTL},
	}}
	file := filepath.Join(t.TempDir(), "table.yaml")
	if err := os.WriteFile(file, []byte(table), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		"stat_prefix: dns\nserver_config:\n  inline_dns_table:\n    " + strings.ReplaceAll(strings.TrimSpace(table), "\n", "\n    "),
		fmt.Sprintf("stat_prefix: dns\nserver_config: {external_dns_table: {filename: %s}}", file),
	} {
		got, err := compile("c", config(t, text))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%+v, %v", got, err)
		}
	}
}

func TestRefuses(t *testing.T) {
	pods := &listener.FactoryContext{Listener: "dns"}
	for _, tt := range []struct {
		ctx        *listener.FactoryContext
		text, want string
	}{
		{&listener.FactoryContext{Listener: "other"}, inline(""), `the listener must be called "dns"`},
		{&listener.FactoryContext{Listener: "dns", Bound: true}, inline(""), "bind_to_port"},
		{pods, inline("external_retry_count: 3"), "external_retry_count"},
		{pods, inline("virtual_domains: [{name: a, endpoint: {service_list: {services: [{service_name: s, protocol: {name: tcp}, targets: [{host_name: h, weight: 1, priority: 1}]}]}}}]"), "service_list"},
		{pods, inline("virtual_domains: [{name: a, endpoint: {address_list: {address: [here]}}}]"), `address[0]: "here" is not an address`},
		{pods, inline("") + "\nclient_config: {max_pending_lookups: 1}", "client_config"},
		{pods, "stat_prefix: dns\nserver_config: {external_dns_table: {inline_string: 'colour: red'}}", "colour"},
	} {
		took := false
		_, err := Factory("dns", func(*Table) { took = true }, nil)(field.Path("c"), config(t, tt.text), tt.ctx)
		if err == nil || !strings.Contains(err.Error(), tt.want) || took {
			t.Errorf("%s\n  %v, want %q", tt.text, err, tt.want)
		}
	}
}
