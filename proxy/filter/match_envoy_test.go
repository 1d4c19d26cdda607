package filter_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weirproxy/weir/internal/listenerrig"
	"github.com/weirproxy/weir/proxy/filter"
	"github.com/weirproxy/weir/proxy/filter/network/directresponse"
	"github.com/weirproxy/weir/proxy/listener"
)

// TestFilterChainMatchAgreesWithEnvoy makes listeners with random filter
// chains over a small world of addresses, names and protocols, and sends the
// same connections to weir and to Envoy: each chain answers with its name.
// The PROXY protocol lets a connection come from and go to anywhere.
func TestFilterChainMatchAgreesWithEnvoy(t *testing.T) {
	envoy := lookEnvoy(t)
	rnd := rand.New(rand.NewSource(4))
	r := newRig(t)
	var configs []string
	var weir []string // addresses
	for i := 0; len(configs) < 40; i++ {
		config := randomListener(rnd, fmt.Sprintf("l%d", len(configs)))
		if err := r.Add(config); err != nil {
			continue // overlapping; see TestRefusedTogetherWithEnvoy
		}
		configs = append(configs, config)
		weir = append(weir, r.MustAdd(config))
	}
	ports := make([]int, len(configs))
	for i := range configs {
		ports[i] = freePort(t)
		configs[i] = strings.Replace(configs[i], "port_value: 0", fmt.Sprint("port_value: ", ports[i]), 1)
	}
	startEnvoy(t, envoy, configs, ports[len(ports)-1])
	for i, config := range configs {
		for range 25 {
			p := randomProbe(rnd)
			got, want := p.send(t, weir[i]), p.send(t, fmt.Sprintf("127.0.0.1:%d", ports[i]))
			if got != want {
				t.Fatalf("%+v: weir takes chain %q, Envoy %q, of\n%s", p, got, want, config)
			}
		}
	}
}

// TestRefusedTogetherWithEnvoy checks filter chains that can't stand together.
func TestRefusedTogetherWithEnvoy(t *testing.T) {
	envoy := lookEnvoy(t)
	for name, matches := range map[string][]string{
		"same twice":             {`{server_names: [a.example]}`, `{server_names: [a.example]}`},
		"both empty":             {`{}`, `{}`},
		"one of two names":       {`{server_names: [a.example, b.example]}`, `{server_names: [b.example, c.example]}`},
		"partial wildcard":       {`{server_names: ["a*.example"]}`},
		"wildcard alone":         {`{server_names: ["*"]}`},
		"wildcard in the middle": {`{server_names: ["*.a*.example"]}`},
		"overlapping ports":      {`{source_ports: [1, 2]}`, `{source_ports: [2, 3]}`},
		"different ports":        {`{source_ports: [1, 2]}`, `{source_ports: [3]}`},
		"nested ranges":          {`{prefix_ranges: [{address_prefix: 10.0.0.0, prefix_len: 8}]}`, `{prefix_ranges: [{address_prefix: 10.1.0.0, prefix_len: 16}]}`},
		"range written twice":    {`{prefix_ranges: [{address_prefix: 10.0.0.1, prefix_len: 8}]}`, `{prefix_ranges: [{address_prefix: 10.0.0.2, prefix_len: 8}]}`},
		"port 0":                 {`{destination_port: 0}`},
		"port too large":         {`{destination_port: 65536}`},
		"not an address":         {`{prefix_ranges: [{address_prefix: example, prefix_len: 8}]}`},
		"prefix too long":        {`{prefix_ranges: [{address_prefix: 10.0.0.1, prefix_len: 33}]}`},
		"suffix":                 {`{address_suffix: x}`},
		"same name twice":        {`{server_names: [a.example, a.example]}`},
	} {
		t.Run(name, func(t *testing.T) {
			config := "name: l\naddress: {socket_address: {address: 127.0.0.1, port_value: 0}}\nfilter_chains:\n"
			for i, m := range matches {
				config += fmt.Sprintf("- {name: c%d, filter_chain_match: %s, filters: [%s]}\n", i, m, responder("x"))
			}
			weir := newRig(t).Add(config)
			out, err := exec.Command(envoy, "--mode", "validate", "-c", writeBootstrap(t, []string{config}), "--log-level", "off").CombinedOutput()
			if (weir != nil) != (err != nil) {
				t.Fatalf("weir: %v; Envoy: %v %s", weir, err, out)
			}
		})
	}
}

func lookEnvoy(t *testing.T) string {
	path, err := exec.LookPath("envoy")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("the oracle test needs envoy in $PATH")
		}
		t.Skip("no envoy in $PATH")
	}
	return path
}

func newRig(t *testing.T) *listenerrig.Rig {
	return listenerrig.New(t, listenerrig.Options{Factories: &listener.Factories{
		Listener: filter.Listener(),
		Network:  map[string]listener.NetworkFilter{directresponse.TypeURL: {New: directresponse.Factory(), Terminal: true}},
	}})
}

func responder(text string) string {
	return fmt.Sprintf(`{name: r, typed_config: {"@type": %s, response: {inline_string: %q}}}`, directresponse.TypeURL, text)
}

const filters = `
listener_filters:
- {name: envoy.filters.listener.proxy_protocol, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol}}
- {name: envoy.filters.listener.tls_inspector, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector}}
`

var (
	addresses = []string{"10.0.0.1", "10.1.2.3", "10.1.2.4", "127.0.0.1", "127.0.0.2", "192.168.0.1"}
	// Not 0.0.0.0/0: beside a chain without ranges Envoy takes either, as its
	// hash map has it; weir takes the one that names the range.
	rangesOf  = []string{"10.0.0.0/8", "10.1.0.0/16", "10.1.2.3/32", "127.0.0.0/8"}
	names     = []string{"a.example", "www.a.example", "*.a.example", "*.example", "*.www.a.example"}
	asked     = []string{"", "a.example", "www.a.example", "x.www.a.example", "b.example", "example", "A.Example"}
	protocols = []string{"h2", "http/1.1", "foo"}
)

func randomListener(rnd *rand.Rand, name string) string {
	config := fmt.Sprintf("name: %s\naddress: {socket_address: {address: 127.0.0.1, port_value: 0}}\nstat_prefix: %s\n%sfilter_chains:\n", name, name, filters)
	some := func() bool { return rnd.Intn(4) == 0 }
	pick := func(from []string) string {
		out := []string{fmt.Sprintf("%q", from[rnd.Intn(len(from))])}
		if x := fmt.Sprintf("%q", from[rnd.Intn(len(from))]); x != out[0] && some() {
			out = append(out, x)
		}
		return "[" + strings.Join(out, ", ") + "]"
	}
	cidr := func() string {
		addr, bits, _ := strings.Cut(rangesOf[rnd.Intn(len(rangesOf))], "/")
		return fmt.Sprintf("[{address_prefix: %s, prefix_len: %s}]", addr, bits)
	}
	for i := range 2 + rnd.Intn(7) {
		var m []string
		add := func(format string, args ...any) { m = append(m, fmt.Sprintf(format, args...)) }
		if some() {
			add("destination_port: %d", 80+rnd.Intn(2))
		}
		if some() {
			add("prefix_ranges: %s", cidr())
		}
		if some() {
			add("server_names: %s", pick(names))
		}
		if some() {
			add("transport_protocol: %s", []string{"tls", "raw_buffer"}[rnd.Intn(2)])
		}
		if some() {
			add("application_protocols: %s", pick(protocols))
		}
		if some() {
			add("direct_source_prefix_ranges: [{address_prefix: 127.0.0.%d, prefix_len: 32}]", 1+rnd.Intn(2))
		}
		if some() {
			add("source_type: %s", []string{"ANY", "SAME_IP_OR_LOOPBACK", "EXTERNAL"}[rnd.Intn(3)])
		}
		if some() {
			add("source_prefix_ranges: %s", cidr())
		}
		if some() {
			add("source_ports: [%d, %d]", 1000+rnd.Intn(2), 1002+rnd.Intn(2))
		}
		config += fmt.Sprintf("- {name: c%d, filter_chain_match: {%s}, filters: [%s]}\n", i, strings.Join(m, ", "), responder(fmt.Sprintf("chain %d", i)))
	}
	if rnd.Intn(2) == 0 {
		config += "default_filter_chain: {filters: [" + responder("default") + "]}\n"
	}
	return config
}

// probe is one connection.
type probe struct {
	Src, Dst         string
	SrcPort, DstPort int
	TLS              bool
	Name             string
	ALPN             []string
}

func randomProbe(rnd *rand.Rand) probe {
	p := probe{Src: addresses[rnd.Intn(len(addresses))], Dst: addresses[rnd.Intn(len(addresses))], SrcPort: 1000 + rnd.Intn(4), DstPort: 80 + rnd.Intn(3), TLS: rnd.Intn(3) > 0}
	if p.TLS {
		p.Name = asked[rnd.Intn(len(asked))]
		for range rnd.Intn(3) {
			p.ALPN = append(p.ALPN, protocols[rnd.Intn(len(protocols))])
		}
	}
	return p
}

// send makes the connection and returns the chain's answer, "" for none.
func (p probe) send(t *testing.T, addr string) string {
	t.Helper()
	c := listenerrig.Dial(t, addr)
	fmt.Fprintf(c, "PROXY TCP4 %s %s %d %d\r\n", p.Src, p.Dst, p.SrcPort, p.DstPort)
	if p.TLS {
		c.Write(clientHello(t, p.Name, p.ALPN))
	} else {
		io.WriteString(c, "hello")
	}
	// A reset may follow the answer, as nobody reads what was sent.
	got, err := io.ReadAll(c)
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		t.Fatalf("%+v: no answer from %s", p, addr)
	}
	c.Close()
	return string(got)
}

// clientHello is the first flight of a TLS client.
func clientHello(t *testing.T, name string, alpn []string) []byte {
	t.Helper()
	client, server := net.Pipe()
	defer server.Close()
	go func() {
		tls.Client(client, &tls.Config{ServerName: name, NextProtos: alpn, InsecureSkipVerify: true}).Handshake()
		client.Close()
	}()
	buf := make([]byte, 16<<10)
	n, err := server.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	return buf[:n]
}

func freePort(t *testing.T) int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func writeBootstrap(t *testing.T, listeners []string) string {
	b := "static_resources:\n  listeners:\n"
	for _, l := range listeners {
		b += "  - " + strings.ReplaceAll(strings.TrimSpace(l), "\n", "\n    ") + "\n"
	}
	file := filepath.Join(t.TempDir(), "envoy.yaml")
	if err := os.WriteFile(file, []byte(b), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// startEnvoy runs Envoy until the test ends; port is one that it listens on.
func startEnvoy(t *testing.T, envoy string, listeners []string, port int) {
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(envoy, "-c", writeBootstrap(t, listeners), "--concurrency", "1", "--disable-hot-restart", "--log-level", "error")
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { cmd.Wait(); close(ended) }()
	t.Cleanup(func() { cmd.Process.Kill(); <-ended; log.Close() })
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			c.Close()
			return
		}
		select {
		case <-ended:
			out, _ := os.ReadFile(log.Name())
			t.Fatalf("Envoy ended: %s", out)
		default:
		}
		if time.Now().After(deadline) {
			t.Fatal("Envoy does not listen")
		}
	}
}
