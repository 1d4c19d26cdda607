package tcpproxy_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	accesslogv3 "github.com/envoyproxy/go-control-plane/envoy/config/accesslog/v3"
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/internal/listenerrig"
	"github.com/weirproxy/weir/internal/tcprig"
	"github.com/weirproxy/weir/proxy/filter/network/tcpproxy"
	"github.com/weirproxy/weir/proxy/listener"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/streaminfo"
	"github.com/weirproxy/weir/proxy/upstream"
)

// lines are what an access log is told, as text.
type lines chan string

func (l lines) Log(_ *network.Loop, i *streaminfo.Info) {
	l <- fmt.Sprintf("flags=%v cluster=%s received=%d sent=%d attempts=%d upstream=%v", i.Flags, i.Cluster, i.BytesReceived, i.BytesSent, i.AttemptCount, i.UpstreamHost.IsSet())
}

type proxyRig struct {
	*listenerrig.Rig
	addr string
	logs lines
}

// newProxy runs a tcp_proxy with this configuration over clusters (name to
// address).
func newProxy(t *testing.T, clusters map[string]string, config string) *proxyRig {
	t.Helper()
	return newProxyWith(t, clusters, "", config)
}

// newProxyWith has further fields in the clusters' JSON.
func newProxyWith(t *testing.T, clusters map[string]string, more, config string) *proxyRig {
	t.Helper()
	logs := make(lines, 1000)
	var tables []*upstream.Table
	find := func(l *network.Loop, name string) tcpproxy.Cluster {
		if c := tables[l.Worker-1].Get(name); c != nil {
			return c
		}
		return nil
	}
	r := listenerrig.New(t, listenerrig.Options{
		Factories: &listener.Factories{Network: map[string]listener.NetworkFilter{tcpproxy.TypeURL: {New: tcpproxy.Factory(find, nil), Terminal: true}}},
		AccessLog: func(field.Path, []*accesslogv3.AccessLog, *listener.FactoryContext) ([]listener.AccessLog, error) {
			return []listener.AccessLog{logs}, nil
		},
	})
	r.Main(func() {
		m := upstream.NewManager(upstream.Options{Main: r.Server.Main, Workers: r.Server.Workers, Stats: r.Server.Stats})
		for w := range r.Server.Workers {
			tables = append(tables, m.Table(w))
		}
		for name, addr := range clusters {
			host, port, _ := net.SplitHostPort(addr)
			c := &clusterv3.Cluster{}
			if err := protojson.Unmarshal(fmt.Appendf(nil, `{"name": %q, "connect_timeout": "1s", "load_assignment": {"cluster_name": %q, "endpoints": [{"lb_endpoints": [{"endpoint": {"address": {"socket_address": {"address": %q, "port_value": %s}}}}]}]}%s}`, name, name, host, port, more), c); err != nil {
				t.Fatal(err)
			}
			if _, err := m.AddOrUpdate("cluster", c, "1", true); err != nil {
				t.Error(err)
			}
		}
	})
	r.Settle()
	return &proxyRig{r, r.MustAdd(listenerConfig("a", config)), logs}
}

func listenerConfig(name, config string) string {
	return `
name: ` + name + `
stat_prefix: ` + name + `
address: {socket_address: {address: 127.0.0.1, port_value: 0}}
filter_chains: [{filters: [{name: t, typed_config: {"@type": ` + tcpproxy.TypeURL + `, stat_prefix: t, access_log: [{name: x}], ` + config + `}}]}]
`
}

func (r *proxyRig) wantLog(t *testing.T, parts ...string) {
	t.Helper()
	select {
	case l := <-r.logs:
		for _, p := range parts {
			if !strings.Contains(l+" ", p+" ") {
				t.Errorf("access log %q, want %q in it", l, p)
			}
		}
	case <-time.After(5 * time.Second):
		t.Fatal("no access log")
	}
}

// serve runs f for each connection of a server.
func serve(t *testing.T, f func(*net.TCPConn)) string {
	t.Helper()
	return tcprig.Start(t, func(c net.Conn) {
		c.SetDeadline(time.Now().Add(20 * time.Second))
		f(c.(*net.TCPConn))
	}).String()
}

func closedPort(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// TestCarriesBothWaysWithHalfClose sends much, ends its side and reads a sum
// of it: the upstream answers only after the end has come through.
func TestCarriesBothWaysWithHalfClose(t *testing.T) {
	up := serve(t, func(c *net.TCPConn) {
		defer c.Close()
		h := sha256.New()
		n, _ := io.Copy(h, c)
		c.Write(h.Sum(nil))
		c.Write(make([]byte, n))
	})
	r := newProxy(t, map[string]string{"u": up}, "cluster: u")
	for _, size := range []int{0, 5, 100_000, 5_000_000} {
		c := listenerrig.Dial(t, r.addr)
		data := bytes.Repeat([]byte("0123456789abcdefg"), size/17+1)[:size]
		if _, err := c.Write(data); err != nil {
			t.Fatal(err)
		}
		c.CloseWrite()
		got, err := io.ReadAll(c)
		sum := sha256.Sum256(data)
		if err != nil || len(got) != 32+size || !bytes.Equal(got[:32], sum[:]) {
			t.Fatalf("of %d bytes: got %d, %v", size, len(got), err)
		}
		r.wantLog(t, "flags=-", "cluster=u", fmt.Sprint("received=", size), fmt.Sprint("sent=", size+32), "attempts=1", "upstream=true")
	}
	r.WantStat("tcp.t.downstream_cx_total", "4")
	r.WantStat("tcp.t.downstream_cx_rx_bytes_total", "5100005")
	r.WantStat("tcp.t.downstream_cx_tx_bytes_total", "5100133")
	r.WantStat("cluster.u.upstream_cx_total", "4")
	r.WantStat("cluster.u.upstream_cx_active", "0")
	r.WantStat("listener.a.downstream_cx_active", "0")
}

func TestServerSpeaksFirst(t *testing.T) {
	up := serve(t, func(c *net.TCPConn) { io.WriteString(c, "220 ready\r\n"); c.Close() })
	r := newProxy(t, map[string]string{"u": up}, "cluster: u")
	got, err := io.ReadAll(listenerrig.Dial(t, r.addr))
	if err != nil || string(got) != "220 ready\r\n" {
		t.Fatalf("got %q, %v", got, err)
	}
}

func TestFailures(t *testing.T) {
	dead := closedPort(t)
	for _, c := range []struct {
		name, config string
		log          []string
		stat, value  string
	}{
		{"refused", "cluster: dead", []string{"flags=UF,URX", "attempts=1", "upstream=true"}, "cluster.dead.upstream_cx_connect_fail", "1"},
		{"refused thrice", "cluster: dead, max_connect_attempts: 3", []string{"flags=UF,URX", "attempts=3"}, "cluster.dead.upstream_cx_connect_attempts_exceeded", "1"},
		{"no cluster", "cluster: nope", []string{"flags=NC", "cluster=", "attempts=0", "upstream=false"}, "tcp.t.downstream_cx_no_route", "1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newProxy(t, map[string]string{"dead": dead}, c.config)
			got, err := io.ReadAll(listenerrig.Dial(t, r.addr))
			if len(got) > 0 || err != nil {
				t.Fatalf("got %q, %v", got, err)
			}
			r.wantLog(t, c.log...)
			r.WantStat(c.stat, c.value)
			r.WantStat("listener.a.downstream_cx_active", "0")
		})
	}
}

func TestResetsPassThrough(t *testing.T) {
	seen := make(chan error, 1)
	up := serve(t, func(c *net.TCPConn) {
		var b [5]byte
		io.ReadFull(c, b[:])
		if string(b[:]) == "reset" {
			c.SetLinger(0)
			c.Close()
			return
		}
		io.WriteString(c, "x")
		_, err := c.Read(b[:])
		seen <- err
	})
	r := newProxy(t, map[string]string{"u": up}, "cluster: u")
	c := listenerrig.Dial(t, r.addr)
	io.WriteString(c, "reset")
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the client sees %v of the upstream's reset", err)
	}
	c = listenerrig.Dial(t, r.addr)
	io.WriteString(c, "hello")
	io.ReadFull(c, make([]byte, 1))
	c.SetLinger(0)
	c.Close()
	if err := <-seen; !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the upstream sees %v of the client's reset", err)
	}
}

func TestTimeouts(t *testing.T) {
	up := serve(t, func(c *net.TCPConn) { io.Copy(io.Discard, c); c.Close() })
	for _, c := range []struct{ config, flag, stat string }{
		{"idle_timeout: 0.05s", "flags=-", "tcp.t.idle_timeout"},
		{"max_downstream_connection_duration: 0.05s", "flags=DT", "tcp.t.max_downstream_connection_duration"},
	} {
		r := newProxy(t, map[string]string{"u": up}, "cluster: u, "+c.config)
		if got, err := io.ReadAll(listenerrig.Dial(t, r.addr)); err != nil || len(got) > 0 {
			t.Fatalf("got %q, %v", got, err)
		}
		r.wantLog(t, c.flag)
		r.WantStat(c.stat, "1")
	}
}

func TestWeights(t *testing.T) {
	var n [2]atomic.Int32
	count := func(i int) string { return serve(t, func(c *net.TCPConn) { n[i].Add(1); c.Close() }) }
	r := newProxy(t, map[string]string{"a": count(0), "b": count(1)}, "weighted_clusters: {clusters: [{name: a, weight: 9}, {name: b, weight: 1}]}")
	const all = 300
	for range all {
		io.ReadAll(listenerrig.Dial(t, r.addr))
	}
	// 30 are expected; beyond ±24 is less likely than 1 in 100,000.
	if b := n[1].Load(); n[0].Load()+b != all || b < 6 || b > 54 {
		t.Fatalf("%d and %d connections of %d", n[0].Load(), b, all)
	}
}

// TestBackPressure has the upstream read nothing: the client must be stopped.
// TestFlush has what the client sent arrive after the client has gone.
func TestFlush(t *testing.T) {
	release, total := make(chan struct{}), make(chan int64, 1)
	up := serve(t, func(c *net.TCPConn) {
		c.SetReadBuffer(65536)
		c.CloseWrite()
		<-release
		n, _ := io.Copy(io.Discard, c)
		total <- n
		c.Close()
	})
	const smallSendBuffer = `, "upstream_bind_config": {"source_address": {"address": "127.0.0.1", "port_value": 0}, "socket_options": [{"level": 1, "name": 7, "int_value": 65536, "state": "STATE_PREBIND"}]}`
	r := newProxyWith(t, map[string]string{"u": up}, smallSendBuffer, "cluster: u")
	c := listenerrig.Dial(t, r.addr)
	const sent = 1_000_000
	c.Write(make([]byte, sent))
	c.CloseWrite()
	io.Copy(io.Discard, c)
	r.WantStat("tcp.t.upstream_flush_active", "1")
	close(release)
	if n := <-total; n != sent {
		t.Errorf("%d of %d bytes arrived", n, sent)
	}
	r.WantStat("tcp.t.upstream_flush_active", "0")
	if n := r.Stat("tcp.t.upstream_flush_total"); n != "1" {
		t.Errorf("%s connections were flushed", n)
	}
}

func TestBackPressure(t *testing.T) {
	release := make(chan struct{})
	total := make(chan int64, 1)
	up := serve(t, func(c *net.TCPConn) {
		<-release
		n, _ := io.Copy(io.Discard, c)
		total <- n
		c.Close()
	})
	r := newProxy(t, map[string]string{"u": up}, "cluster: u")
	c := listenerrig.Dial(t, r.addr)
	var sent int64
	chunk := make([]byte, 1<<20)
	for {
		c.SetWriteDeadline(time.Now().Add(300 * time.Millisecond))
		n, err := c.Write(chunk)
		sent += int64(n)
		if err != nil {
			break
		}
		if sent > 100<<20 {
			t.Fatal("100 MiB were taken for an upstream that reads nothing")
		}
	}
	if n := r.Stat("tcp.t.downstream_flow_control_paused_reading_total"); n == "0" {
		t.Error("reading was not paused")
	}
	close(release)
	c.CloseWrite()
	if n := <-total; n != sent {
		t.Fatalf("%d of %d bytes arrived", n, sent)
	}
}
