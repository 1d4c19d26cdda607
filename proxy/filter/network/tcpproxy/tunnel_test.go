package tcpproxy_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/weirproxy/weir/internal/listenerrig"
)

// tunnelServer is an HTTP/1 and HTTP/2 server that answers with the status
// that x-status asks for, or 200, then what it was asked, then echoes.
func tunnelServer(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("x-status") != "" {
			w.WriteHeader(403)
			return
		}
		said := fmt.Sprintf("%s %s %s %s a=%s\n", r.Proto, r.Method, r.URL.Path, r.Host, r.Header.Get("x-a"))
		if r.Method == "CONNECT" && r.ProtoMajor == 1 {
			c, b, _ := w.(http.Hijacker).Hijack()
			io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n"+said)
			io.Copy(c, b)
			c.Close()
			return
		}
		http.NewResponseController(w).EnableFullDuplex()
		w.WriteHeader(200)
		io.WriteString(w, said)
		w.(http.Flusher).Flush()
		buf := make([]byte, 1000)
		for {
			n, err := r.Body.Read(buf)
			w.Write(buf[:n])
			w.(http.Flusher).Flush()
			if err != nil {
				return
			}
		}
	}), Protocols: new(http.Protocols)}
	s.Protocols.SetHTTP1(true)
	s.Protocols.SetUnencryptedHTTP2(true)
	go s.Serve(l)
	t.Cleanup(func() { s.Close() })
	return l.Addr().String()
}

const overHTTP2 = `, "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {"@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions", "explicit_http_config": {"http2_protocol_options": {}}}}`

func TestTunnels(t *testing.T) {
	for _, c := range []struct{ name, more, config, want string }{
		{"CONNECT", "", "hostname: 'x.example:%DOWNSTREAM_LOCAL_PORT%'", "HTTP/1.1 CONNECT  x.example:PORT a="},
		{"CONNECT over HTTP/2", overHTTP2, "hostname: 'x:1', headers_to_add: [{header: {key: x-a, value: b}}]", "HTTP/2.0 CONNECT  x:1 a=b"},
		{"POST", "", "hostname: 'x:1', use_post: true", "HTTP/1.1 POST / x:1 a="},
		{"POST over HTTP/2", overHTTP2, "hostname: 'x:1', use_post: true, post_path: /p", "HTTP/2.0 POST /p x:1 a="},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newProxyWith(t, map[string]string{"u": tunnelServer(t)}, c.more, "cluster: u, tunneling_config: {"+c.config+"}")
			conn := listenerrig.Dial(t, r.addr)
			b := bufio.NewReader(conn)
			_, port, _ := net.SplitHostPort(r.addr)
			if line, err := b.ReadString('\n'); err != nil || line != strings.ReplaceAll(c.want, "PORT", port)+"\n" {
				t.Fatalf("the server was asked %q, %v", line, err)
			}
			for range 3 {
				data := strings.Repeat("0123456789", 10_000)
				go io.WriteString(conn, data)
				got := make([]byte, len(data))
				if _, err := io.ReadFull(b, got); err != nil || string(got) != data {
					t.Fatal("other bytes came back", err)
				}
			}
			conn.CloseWrite()
			if rest, err := io.ReadAll(b); err != nil || len(rest) > 0 {
				t.Fatalf("after the end: %q, %v", rest, err)
			}
			conn.Close()
			r.wantLog(t, "flags=-", "received=300000", "attempts=1")
			r.WantStat("cluster.u.upstream_rq_total", "1")
			r.WantStat("cluster.u.upstream_rq_active", "0")
		})
	}
}

func TestTunnelIsRefused(t *testing.T) {
	for _, more := range []string{"", overHTTP2} {
		r := newProxyWith(t, map[string]string{"u": tunnelServer(t)}, more, "cluster: u, max_connect_attempts: 2, tunneling_config: {hostname: 'x:1', headers_to_add: [{header: {key: x-status, value: '403'}}]}")
		if got, err := io.ReadAll(listenerrig.Dial(t, r.addr)); err != nil || len(got) > 0 {
			t.Fatalf("got %q, %v", got, err)
		}
		r.wantLog(t, "flags=UF,URX", "attempts=2")
		r.WantStat("cluster.u.upstream_rq_active", "0")
	}
}

// TestUpstreamOfATunnelGoes closes the tunnel's connection under it.
func TestUpstreamOfATunnelGoes(t *testing.T) {
	up := serve(t, func(c *net.TCPConn) {
		http.ReadRequest(bufio.NewReader(c))
		io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\nlast words")
		c.Close()
	})
	r := newProxyWith(t, map[string]string{"u": up}, "", "cluster: u, tunneling_config: {hostname: 'x:1'}")
	c := listenerrig.Dial(t, r.addr)
	got := make([]byte, 10)
	if _, err := io.ReadFull(c, got); err != nil || string(got) != "last words" {
		t.Fatalf("got %q, %v", got, err)
	}
	if _, err := c.Read(got); err != io.EOF {
		t.Fatal(err)
	}
	c.Close()
	r.wantLog(t, "flags=-", "sent=10")
	r.WantStat("cluster.u.upstream_rq_active", "0")
}

// TestClientOfATunnelGoes: the request is cut off.
func TestClientOfATunnelGoes(t *testing.T) {
	for _, more := range []string{"", overHTTP2} {
		r := newProxyWith(t, map[string]string{"u": tunnelServer(t)}, more, "cluster: u, tunneling_config: {hostname: 'x:1'}")
		c := listenerrig.Dial(t, r.addr)
		bufio.NewReader(c).ReadString('\n')
		r.WantStat("cluster.u.upstream_rq_active", "1")
		c.SetLinger(0)
		c.Close()
		r.wantLog(t, "flags=-")
		r.WantStat("cluster.u.upstream_rq_active", "0")
	}
}

func TestEarlyData(t *testing.T) {
	connected := make(chan bool, 10)
	up := serve(t, func(c *net.TCPConn) {
		connected <- true
		io.Copy(c, c)
		c.Close()
	})
	r := newProxy(t, map[string]string{"u": up}, "cluster: u, upstream_connect_mode: ON_DOWNSTREAM_DATA, max_early_data_bytes: 4")
	c := listenerrig.Dial(t, r.addr)
	r.WantStat("tcp.t.downstream_cx_total", "1")
	if len(connected) > 0 {
		t.Fatal("it connects before there is data")
	}
	data := strings.Repeat("more than the limit ", 10_000)
	go func() { io.WriteString(c, data); c.CloseWrite() }()
	if got, err := io.ReadAll(c); err != nil || string(got) != data {
		t.Fatalf("%d bytes come back, %v", len(got), err)
	}
	r.wantLog(t, "flags=-")

	// The end alone connects as well.
	c = listenerrig.Dial(t, r.addr)
	c.CloseWrite()
	if got, err := io.ReadAll(c); err != nil || len(got) > 0 {
		t.Fatalf("got %q, %v", got, err)
	}
	r.wantLog(t, "attempts=1")
}

func TestBackoff(t *testing.T) {
	r := newProxy(t, map[string]string{"dead": closedPort(t)}, "cluster: dead, max_connect_attempts: 3, backoff_options: {base_interval: 0.002s}")
	if got, err := io.ReadAll(listenerrig.Dial(t, r.addr)); err != nil || len(got) > 0 {
		t.Fatalf("got %q, %v", got, err)
	}
	r.wantLog(t, "flags=UF,URX", "attempts=3")
	// A client that goes meanwhile ends it.
	r = newProxy(t, map[string]string{"dead": closedPort(t)}, "cluster: dead, max_connect_attempts: 3, max_early_data_bytes: 10, backoff_options: {base_interval: 100s, max_interval: 100s}")
	c := listenerrig.Dial(t, r.addr)
	r.WantStat("cluster.dead.upstream_cx_connect_fail", "1")
	c.SetLinger(0)
	c.Close()
	r.wantLog(t, "flags=UF", "attempts=1")
}

func TestRefusedFields(t *testing.T) {
	r := newProxy(t, nil, "cluster: u")
	for config, want := range map[string]string{
		"tunneling_config: {hostname: a, post_path: /}":                                      "post_path",
		"tunneling_config: {hostname: a, headers_to_add: [{header: {key: Host, value: x}}]}": "headers_to_add[0]",
		"tunneling_config: {hostname: '%NONSENSE%'}":                                         "hostname",
		"upstream_connect_mode: ON_DOWNSTREAM_DATA":                                          "max_early_data_bytes",
		"backoff_options: {base_interval: 2s, max_interval: 1s}":                             "max_interval",
		"on_demand: {}": "on_demand",
		"proxy_protocol_tlvs: [{type: 256, value: YQ==}]":             "proxy_protocol_tlvs[0].type",
		"proxy_protocol_tlvs: [{type: 1}]":                            "proxy_protocol_tlvs[0]",
		"access_log_options: {}, flush_access_log_on_connected: true": "access_log_options",
		"hash_policy: [{source_ip: {}}, {source_ip: {}}]":             "hash_policy",
	} {
		err := r.Add(listenerConfig("b", "cluster: u, "+config))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q in it", config, err, want)
		}
	}
}
