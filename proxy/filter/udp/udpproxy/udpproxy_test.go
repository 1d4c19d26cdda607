package udpproxy_test

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	accesslogv3 "github.com/envoyproxy/go-control-plane/envoy/config/accesslog/v3"
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/internal/listenerrig"
	"github.com/weirproxy/weir/proxy/filter/udp/udpproxy"
	"github.com/weirproxy/weir/proxy/listener"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/streaminfo"
	"github.com/weirproxy/weir/proxy/upstream"
)

// lines are what access logs are told, as text.
type lines chan string

func (l lines) Log(_ *network.Loop, i *streaminfo.Info) {
	l <- fmt.Sprintf("%v flags=%v host=%v %v", i.LogType, i.Flags, i.UpstreamHost, i.Metadata)
}

type rig struct {
	*listenerrig.Rig
	t        *testing.T
	clusters *upstream.Manager
	tables   []*upstream.Table
	logs     lines
}

func newRig(t *testing.T, workers int) *rig {
	r := &rig{t: t, logs: make(lines, 1000)}
	find := func(l *network.Loop, name string) udpproxy.Cluster {
		if c := r.tables[l.Worker-1].Get(name); c != nil {
			return c
		}
		return nil
	}
	r.Rig = listenerrig.New(t, listenerrig.Options{
		Workers:   workers,
		Factories: &listener.Factories{UDP: map[string]listener.UDPFactory{udpproxy.TypeURL: udpproxy.Factory(find)}},
		AccessLog: func(field.Path, []*accesslogv3.AccessLog, *listener.FactoryContext) ([]listener.AccessLog, error) {
			return []listener.AccessLog{r.logs}, nil
		},
	})
	r.Main(func() {
		r.clusters = upstream.NewManager(upstream.Options{Main: r.Server.Main, Workers: r.Server.Workers, Stats: r.Server.Stats})
		for w := range r.Server.Workers {
			r.tables = append(r.tables, r.clusters.Table(w))
		}
	})
	return r
}

// cluster adds or replaces a cluster of these hosts.
func (r *rig) cluster(name, more string, hosts ...string) {
	r.t.Helper()
	var endpoints []string
	for _, h := range hosts {
		ip, port, _ := net.SplitHostPort(h)
		endpoints = append(endpoints, fmt.Sprintf(`{"endpoint": {"address": {"socket_address": {"address": %q, "port_value": %s}}}}`, ip, port))
	}
	c := &clusterv3.Cluster{}
	text := fmt.Sprintf(`{"name": %q, "load_assignment": {"cluster_name": %q, "endpoints": [{"lb_endpoints": [%s]}]}%s}`, name, name, strings.Join(endpoints, ","), more)
	if err := protojson.Unmarshal([]byte(text), c); err != nil {
		r.t.Fatal(err)
	}
	r.Main(func() {
		if _, err := r.clusters.AddOrUpdate("cluster", c, "1", false); err != nil {
			r.t.Error(err)
		}
	})
	r.Settle()
}

func config(address, filter string) string {
	return `
name: a
stat_prefix: a
address: {socket_address: {protocol: UDP, address: ` + address + `, port_value: 0}}
listener_filters: [{name: u, typed_config: {"@type": ` + udpproxy.TypeURL + `, stat_prefix: u, ` + filter + `}}]
`
}

// server answers each datagram with its name and the datagram.
func server(t *testing.T, name string) string {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	go func() {
		b := make([]byte, 64<<10)
		for {
			n, from, err := c.ReadFrom(b)
			if errors.Is(err, net.ErrClosed) {
				return
			} else if err == nil {
				c.WriteTo(append([]byte(name+" "), b[:n]...), from)
			}
		}
	}()
	return c.LocalAddr().String()
}

type client struct {
	*net.UDPConn
	t *testing.T
}

func dial(t *testing.T, addr string) client {
	t.Helper()
	c, err := net.Dial("udp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(10 * time.Second))
	return client{c.(*net.UDPConn), t}
}

func (c client) ask(text string) string {
	c.t.Helper()
	if _, err := c.Write([]byte(text)); err != nil {
		c.t.Fatal(err)
	}
	return c.read()
}

func (c client) read() string {
	c.t.Helper()
	b := make([]byte, 64<<10)
	n, err := c.Read(b)
	if err != nil {
		c.t.Fatal(err)
	}
	return string(b[:n])
}

// silent expects no answer; probe is a client that gets one after.
func (c client) silent(text string) {
	c.t.Helper()
	c.Write([]byte(text))
	c.SetDeadline(time.Now().Add(50 * time.Millisecond))
	if n, err := c.Read(make([]byte, 10)); !errors.Is(err, os.ErrDeadlineExceeded) {
		c.t.Fatalf("an answer of %d bytes, %v", n, err)
	}
	c.SetDeadline(time.Now().Add(10 * time.Second))
}

func (r *rig) wantLog(parts ...string) {
	r.t.Helper()
	select {
	case l := <-r.logs:
		for _, p := range parts {
			if !strings.Contains(l, p) {
				r.t.Errorf("access log %q, want %q in it", l, p)
			}
		}
	case <-time.After(5 * time.Second):
		r.t.Fatal("no access log")
	}
}

func TestSessions(t *testing.T) {
	for _, address := range []string{"127.0.0.1", "0.0.0.0"} {
		r := newRig(t, 1)
		a, b := server(t, "A"), server(t, "B")
		r.cluster("c", "", a, b)
		addr := r.MustAdd(config(address, "cluster: c, access_log: [{name: x}]"))
		_, port, _ := net.SplitHostPort(addr)
		one, two := dial(t, "127.0.0.1:"+port), dial(t, "127.0.0.2:"+port)
		if address == "127.0.0.1" {
			two = dial(t, "127.0.0.1:"+port)
		}
		first := one.ask("x")
		other := map[string]string{"A x": "B y", "B x": "A y"}[first]
		if got := two.ask("y"); got != other {
			t.Fatalf("the second client gets %q after %q", got, first)
		}
		for range 3 {
			if got := one.ask("x"); got != first {
				t.Fatalf("a session goes to %q and %q", first, got)
			}
		}
		one.Write(nil)
		if got := one.read(); got != first[:2] {
			t.Fatalf("an empty datagram is answered with %q", got)
		}
		r.WantStat("udp.u.downstream_sess_total", "2")
		r.WantStat("udp.u.downstream_sess_active", "2")
		r.WantStat("udp.u.downstream_sess_rx_datagrams", "6")
		r.WantStat("udp.u.downstream_sess_tx_bytes", "17")
		r.WantStat("cluster.c.udp.sess_tx_datagrams", "6")
		r.WantStat("cluster.c.udp.sess_rx_datagrams", "6")
		r.WantStat("cluster.c.upstream_cx_rx_bytes_total", "17")
		r.Main(func() { r.Manager.Remove("a") })
		r.WantStat("udp.u.downstream_sess_active", "")
		r.wantLog("UdpSessionEnd", "flags=-", "host=127.0.0.1:", "udp.proxy.session", "cluster_name:c")
	}
}

// TestManyDatagrams sends more at once than one batch takes.
func TestManyDatagrams(t *testing.T) {
	r := newRig(t, 1)
	r.cluster("c", "", server(t, "A"))
	c := dial(t, r.MustAdd(config("127.0.0.1", "cluster: c")))
	c.ask("warm")
	want := map[string]bool{}
	for i := range 200 {
		text := fmt.Sprintf("%d %s", i, bytes.Repeat([]byte("x"), i))
		c.Write([]byte(text))
		want["A "+text] = true
	}
	for range 200 {
		delete(want, c.read())
	}
	if len(want) > 0 {
		t.Fatalf("%d datagrams were lost or changed", len(want))
	}
}

func TestIdleSessionsEnd(t *testing.T) {
	r := newRig(t, 1)
	r.cluster("c", "", server(t, "A"))
	c := dial(t, r.MustAdd(config("127.0.0.1", "cluster: c, idle_timeout: 0.02s, access_log: [{name: x}], proxy_access_log: [{name: p}]")))
	c.ask("x")
	r.WantStat("udp.u.idle_timeout", "1")
	r.WantStat("udp.u.downstream_sess_active", "0")
	r.wantLog("UdpSessionEnd")
	if got := c.ask("y"); got != "A y" {
		t.Fatalf("got %q", got)
	}
	r.wantLog("UdpSessionEnd")
	r.Main(func() { r.Manager.Remove("a") })
	r.wantLog("NotSet", "udp.proxy.proxy", "idle_timeout:2", "session_total:2")
}

func TestPerPacketLoadBalancing(t *testing.T) {
	r := newRig(t, 1)
	r.cluster("c", "", server(t, "A"), server(t, "B"))
	c := dial(t, r.MustAdd(config("127.0.0.1", "cluster: c, use_per_packet_load_balancing: true")))
	seen := map[string]int{}
	for range 10 {
		seen[c.ask("x")]++
	}
	if seen["A x"] != 5 || seen["B x"] != 5 {
		t.Fatalf("answers %v", seen)
	}
	r.WantStat("udp.u.downstream_sess_total", "2")
}

func TestHashPolicies(t *testing.T) {
	for _, policy := range []string{"source_ip: true", "key: k"} {
		r := newRig(t, 1)
		r.cluster("c", `, "lb_policy": "RING_HASH"`, server(t, "A"), server(t, "B"), server(t, "C"))
		addr := r.MustAdd(config("127.0.0.1", "cluster: c, hash_policies: [{"+policy+"}]"))
		first := dial(t, addr).ask("x")
		for range 20 {
			if got := dial(t, addr).ask("x"); got != first {
				t.Fatalf("%s: %q and %q", policy, first, got)
			}
		}
	}
}

func TestRoutes(t *testing.T) {
	r := newRig(t, 1)
	r.cluster("a", "", server(t, "A"))
	r.cluster("b", "", server(t, "B"))
	const input = "type.googleapis.com/envoy.extensions.matching.common_inputs.network.v3.SourceIPInput"
	route := func(c string) string {
		return `action: {name: r, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.udp.udp_proxy.v3.Route, cluster: ` + c + `}}`
	}
	addr := r.MustAdd(config("127.0.0.1", `matcher: {matcher_tree: {input: {name: i, typed_config: {"@type": `+input+`}}, exact_match_map: {map: {"127.0.0.1": {`+route("a")+`}, "127.0.0.9": {`+route("nope")+`}}}}, on_no_match: {`+route("b")+`}}`))
	for from, want := range map[string]string{"127.0.0.1": "A x", "127.0.0.2": "B x", "127.0.0.9": ""} {
		d := net.Dialer{LocalAddr: &net.UDPAddr{IP: net.ParseIP(from)}}
		conn, err := d.Dial("udp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		c := client{conn.(*net.UDPConn), t}
		if want == "" {
			c.silent("x")
			continue
		}
		c.SetDeadline(time.Now().Add(10 * time.Second))
		if got := c.ask("x"); got != want {
			t.Errorf("from %s: %q, want %q", from, got, want)
		}
	}
	r.WantStat("udp.u.downstream_sess_no_route", "1")
}

func TestCircuitBreaker(t *testing.T) {
	r := newRig(t, 1)
	r.cluster("c", `, "circuit_breakers": {"thresholds": [{"max_connections": 1}]}`, server(t, "A"))
	addr := r.MustAdd(config("127.0.0.1", "cluster: c, access_log: [{name: x}]"))
	c := dial(t, addr)
	c.ask("x")
	dial(t, addr).silent("y")
	r.wantLog("flags=UO", "host= ")
	r.WantStat("cluster.c.upstream_cx_overflow", "1")
	r.WantStat("udp.u.downstream_sess_active", "1")
	if got := c.ask("z"); got != "A z" {
		t.Fatalf("got %q", got)
	}
}

// TestHostsGo replaces a cluster's hosts, and the cluster.
func TestHostsGo(t *testing.T) {
	r := newRig(t, 1)
	r.cluster("c", "", server(t, "A"))
	c := dial(t, r.MustAdd(config("127.0.0.1", "cluster: c")))
	if got := c.ask("x"); got != "A x" {
		t.Fatalf("got %q", got)
	}
	r.cluster("c", "", server(t, "B"))
	if got := c.ask("x"); got != "B x" {
		t.Fatalf("after the host has gone: %q", got)
	}
	r.cluster("c", `, "connect_timeout": "2s"`, server(t, "C"))
	if got := c.ask("x"); got != "C x" {
		t.Fatalf("after the cluster was replaced: %q", got)
	}
	r.WantStat("udp.u.downstream_sess_total", "3")
	r.WantStat("udp.u.downstream_sess_active", "1")
	r.Main(func() { r.clusters.Remove("c") })
	r.Settle()
	c.silent("x")
	r.WantStat("udp.u.downstream_sess_no_route", "1")
}

func TestRefusedDatagramsAreErrors(t *testing.T) {
	l, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone := l.LocalAddr().String()
	l.Close()
	r := newRig(t, 1)
	r.cluster("c", "", gone)
	dial(t, r.MustAdd(config("127.0.0.1", "cluster: c"))).silent("x")
	r.WantStat("cluster.c.udp.sess_rx_errors", "1")
	r.WantStat("udp.u.downstream_sess_active", "1")
}

// TestSizes has a datagram dropped on its way in and an answer on its way back.
func TestSizes(t *testing.T) {
	r := newRig(t, 1)
	r.cluster("c", "", server(t, "A"))
	c := dial(t, r.MustAdd(config("127.0.0.1", "cluster: c, upstream_socket_config: {max_rx_datagram_size: 1000, prefer_gro: false}")))
	c.silent(strings.Repeat("x", 1501))
	r.WantStat("listener.a.udp.downstream_rx_datagram_dropped", "1")
	c.silent(strings.Repeat("x", 1000)) // "A " makes it longer
	r.WantStat("cluster.c.udp.sess_rx_datagrams_dropped", "1")
	if got := c.ask(strings.Repeat("x", 998)); len(got) != 1000 {
		t.Errorf("%d bytes", len(got))
	}
}

// TestUpdate replaces the listener under its client.
func TestUpdate(t *testing.T) {
	r := newRig(t, 2)
	r.cluster("a", "", server(t, "A"))
	r.cluster("b", "", server(t, "B"))
	addr := r.MustAdd(config("127.0.0.1", "cluster: a"))
	c := dial(t, addr)
	if got := c.ask("x"); got != "A x" {
		t.Fatalf("got %q", got)
	}
	if again := r.MustAdd(config("127.0.0.1", "cluster: b")); again != addr {
		t.Fatalf("the address was %s, now %s", addr, again)
	}
	if got := c.ask("x"); got != "B x" {
		t.Fatalf("after the update: %q", got)
	}
	r.WantStat("udp.u.downstream_sess_active", "1")
}

func TestRefused(t *testing.T) {
	r := newRig(t, 2)
	for _, c := range []struct{ config, want string }{
		{config("127.0.0.1", "cluster: c") + "filter_chains: [{}]", "filter_chains"},
		{config("127.0.0.1", "cluster: c") + "bind_to_port: false", "bind_to_port"},
		{config("127.0.0.1", "cluster: c") + "enable_reuse_port: false", "enable_reuse_port"},
		{config("127.0.0.1", "cluster: c") + "udp_listener_config: {quic_options: {}}", "quic_options"},
		{config("127.0.0.1", "cluster: c") + "additional_addresses: [{address: {socket_address: {address: 127.0.0.1, port_value: 0}}}]", "additional_addresses[0]"},
		{config("127.0.0.1", "cluster: c, session_filters: [{name: x}]"), "session_filters"},
		{config("127.0.0.1", "cluster: c, tunneling_config: {proxy_host: a, target_host: b, default_target_port: 1}"), "tunneling_config"},
		{strings.ReplaceAll(config("127.0.0.1", "cluster: c"), "UDP", "TCP"), "filter_chains"},
	} {
		if err := r.Add(c.config); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q in it", c.config, err, c.want)
		}
	}
}
