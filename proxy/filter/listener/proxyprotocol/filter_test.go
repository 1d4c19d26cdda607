package proxyprotocol_test

import (
	"encoding/base64"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/weirproxy/weir/internal/listenerrig"
	"github.com/weirproxy/weir/proxy/filter/listener/proxyprotocol"
	"github.com/weirproxy/weir/proxy/listener"
)

func rig(t *testing.T, config string) (*listenerrig.Rig, string) {
	f := &listener.Factories{Listener: map[string]listener.FilterFactory{proxyprotocol.TypeURL: proxyprotocol.Factory()}}
	r := listenerrig.New(t, listenerrig.Options{Factories: f})
	return r, r.MustAdd(`
name: a
stat_prefix: a
address: {socket_address: {address: 127.0.0.1, port_value: 0}}
listener_filters: [{name: p, typed_config: {"@type": ` + proxyprotocol.TypeURL + `, ` + config + `}}]
filter_chains: [{filters: [` + listenerrig.Echo("e") + `]}]
`)
}

// send returns all that comes back to one connection's bytes.
func send(t *testing.T, addr string, pieces ...string) string {
	t.Helper()
	c := listenerrig.Dial(t, addr)
	for _, p := range pieces {
		io.WriteString(c, p)
		time.Sleep(time.Millisecond)
	}
	c.CloseWrite()
	got, _ := io.ReadAll(c)
	return string(got)
}

func TestAddressesAreRestored(t *testing.T) {
	r, addr := rig(t, "allow_requests_without_proxy_protocol: false")
	const head = "PROXY TCP4 9.9.9.9 8.8.8.8 1234 80\r\n"
	for _, pieces := range [][]string{{head + "data"}, {head, "data"}, strings.SplitAfter(head+"data", "")} {
		if got := send(t, addr, pieces...); !strings.HasPrefix(got, "e remote=9.9.9.9 local=8.8.8.8:80 ") || !strings.HasSuffix(got, "\ndata") {
			t.Fatalf("got %q", got)
		}
	}
	r.WantStat("proxy_proto.versions.v1.found", "3")
	if got := send(t, addr, "GET / HTTP/1.1\r\n\r\n"); got != "" {
		t.Fatalf("without a header: %q", got)
	}
	r.WantStat("proxy_proto.not_found_disallowed", "1")
	if got := send(t, addr, "PROXY TCP4 nonsense\r\n"); got != "" {
		t.Fatalf("with a broken header: %q", got)
	}
	r.WantStat("proxy_proto.versions.v1.error", "1")
	r.WantStat("listener.a.downstream_cx_proxy_proto_error", "2")
}

func TestOptionalAndDisallowed(t *testing.T) {
	r, addr := rig(t, "allow_requests_without_proxy_protocol: true, disallowed_versions: [V1], stat_prefix: x")
	if got := send(t, addr, "hello"); !strings.HasPrefix(got, "e remote=127.0.0.1 ") || !strings.HasSuffix(got, "\nhello") {
		t.Fatalf("got %q", got)
	}
	// Version 1 is not looked for, so its header is data.
	const head = "PROXY TCP4 9.9.9.9 8.8.8.8 1234 80\r\n"
	if got := send(t, addr, head); !strings.HasPrefix(got, "e remote=127.0.0.1 ") || !strings.HasSuffix(got, "\n"+head) {
		t.Fatalf("got %q", got)
	}
	r.WantStat("proxy_proto.x.not_found_allowed", "2")
}

func TestTLVsBecomeMetadata(t *testing.T) {
	_, addr := rig(t, `rules: [{tlv_type: 2, on_tlv_present: {key: host}}, {tlv_type: 238, on_tlv_present: {metadata_namespace: ns, key: raw, value_string_encoding: BASE64}}]`)
	head := "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x1a\x09\x09\x09\x09\x08\x08\x08\x08\x04\xd2\x00\x50" + "\x02\x00\x05a\xff.ex" + "\xee\x00\x03\x00\x01\x02"
	got := send(t, addr, head, "data")
	for _, want := range []string{"e remote=9.9.9.9 ", "envoy.filters.listener.proxy_protocol:map[host:a!.ex]", "ns:map[raw:" + base64.StdEncoding.EncodeToString([]byte{0, 1, 2}) + "]"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in %q", want, got)
		}
	}
}
