package listener_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weirproxy/weir/internal/listenerrig"
	"github.com/weirproxy/weir/proxy/listener"
)

func echoListener(name, extra string) string {
	return fmt.Sprintf("name: %s\naddress: {socket_address: {address: 127.0.0.1, port_value: 0}}\nstat_prefix: %s\n%s", name, name, extra)
}

func chain(tag string) string {
	return "filter_chains: [{filters: [" + listenerrig.Echo(tag) + "]}]\n"
}

// ask sends a line and returns the echo filter's description and the echo.
func ask(t *testing.T, c net.Conn, send string) (said, echoed string) {
	t.Helper()
	if _, err := io.WriteString(c, send); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(c)
	said, err := r.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, len(send))
	if _, err := io.ReadFull(r, buf); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(said), string(buf)
}

// closed fails unless the peer ends the connection.
func closed(t *testing.T, c net.Conn) {
	t.Helper()
	if n, err := c.Read(make([]byte, 1)); err == nil || n > 0 {
		t.Fatalf("read %d bytes, %v; want the connection closed", n, err)
	} else if e, ok := err.(net.Error); ok && e.Timeout() {
		t.Fatal("the connection is still open")
	}
}

func TestServesAndCounts(t *testing.T) {
	for _, reuse := range []bool{true, false} {
		t.Run(fmt.Sprintf("reuse_port=%v", reuse), func(t *testing.T) {
			r := listenerrig.New(t, listenerrig.Options{Workers: 2})
			addr := r.MustAdd(echoListener("a", fmt.Sprintf("enable_reuse_port: %v\n", reuse)+chain("one")))
			var conns []net.Conn
			for range 20 {
				c := listenerrig.Dial(t, addr)
				if said, echoed := ask(t, c, "hello"); !strings.HasPrefix(said, "one remote=127.0.0.1 local="+addr) || echoed != "hello" {
					t.Fatalf("said %q, echoed %q", said, echoed)
				}
				conns = append(conns, c)
			}
			r.WantStat("listener.a.downstream_cx_total", "20")
			r.WantStat("listener.a.downstream_cx_active", "20")
			for _, c := range conns {
				c.Close()
			}
			r.WantStat("listener.a.downstream_cx_active", "0")
			r.WantStat("listener.a.downstream_cx_destroy", "20")
			var sum int
			for w := range 2 {
				var n int
				fmt.Sscan(r.Stat(fmt.Sprintf("listener.a.worker_%d.downstream_cx_total", w)), &n)
				sum += n
			}
			if sum != 20 {
				t.Errorf("the workers' totals add up to %d", sum)
			}
			if n := r.Manager.Connections(); n != 0 {
				t.Errorf("%d connections left", n)
			}
		})
	}
}

// TestUpdateLosesNoConnection changes a listener over and over while clients
// connect: none may be refused or reset.
func TestUpdateLosesNoConnection(t *testing.T) {
	r := listenerrig.New(t, listenerrig.Options{Workers: 2, DrainTime: time.Hour})
	port := freePort(t)
	config := func(i int) string {
		return fmt.Sprintf("name: a\nper_connection_buffer_limit_bytes: %d\naddress: {socket_address: {address: 127.0.0.1, port_value: %d}}\n", 1000+i, port) + chain(fmt.Sprint("v", i))
	}
	addr := r.MustAdd(config(0))
	stop, failed := make(chan struct{}), make(chan error, 1)
	go func() {
		defer close(failed)
		for {
			select {
			case <-stop:
				return
			default:
			}
			c, err := net.Dial("tcp", addr)
			if err == nil {
				c.SetDeadline(time.Now().Add(5 * time.Second))
				io.WriteString(c, "x")
				_, err = io.ReadFull(c, make([]byte, 10))
				c.Close()
			}
			if err != nil {
				failed <- err
				return
			}
		}
	}()
	for i := 1; i <= 50; i++ {
		r.MustAdd(config(i))
	}
	close(stop)
	if err := <-failed; err != nil {
		t.Fatal(err)
	}
	if said, _ := ask(t, listenerrig.Dial(t, addr), "x"); !strings.HasPrefix(said, "v50 ") {
		t.Fatalf("the last update is not served: %q", said)
	}
	r.WantStat("listener_manager.listener_modified", "50")
	r.WantStat("listener_manager.total_listeners_draining", "50")
	r.WantStat("listener_manager.total_listeners_active", "1")
}

func freePort(t *testing.T) int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// TestChainUpdateInPlace changes one of two chains: connections of the other
// must live, those of the changed one end after the drain time.
func TestChainUpdateInPlace(t *testing.T) {
	r := listenerrig.New(t, listenerrig.Options{DrainTime: 50 * time.Millisecond})
	config := func(second string) string {
		return echoListener("a", `
filter_chains:
- {name: kept, filter_chain_match: {source_prefix_ranges: [{address_prefix: 127.0.0.2, prefix_len: 32}]}, filters: [`+listenerrig.Echo("kept")+`]}
- {name: changed, filters: [`+listenerrig.Echo(second)+`]}
`)
	}
	addr := r.MustAdd(config("old"))
	kept := dialFrom(t, "127.0.0.2", addr)
	changed := listenerrig.Dial(t, addr)
	ask(t, kept, "x")
	ask(t, changed, "x")
	if again := r.MustAdd(config("new")); again != addr {
		t.Fatalf("the address changed from %s to %s", addr, again)
	}
	closed(t, changed)
	if said, _ := ask(t, listenerrig.Dial(t, addr), "x"); !strings.HasPrefix(said, "new ") {
		t.Fatalf("said %q", said)
	}
	if _, err := io.WriteString(kept, "y"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(kept, make([]byte, 1)); err != nil {
		t.Fatalf("the connection of the chain that stayed: %v", err)
	}
	r.WantStat("listener_manager.listener_in_place_updated", "1")
	r.WantStat("listener.a.downstream_cx_active", "2")
}

func dialFrom(t *testing.T, ip, addr string) net.Conn {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(ip)}}
	c, err := d.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(10 * time.Second))
	return c
}

func TestRemoveDrainsThenCloses(t *testing.T) {
	r := listenerrig.New(t, listenerrig.Options{Workers: 2, DrainTime: 100 * time.Millisecond})
	addr := r.MustAdd(echoListener("a", chain("one")))
	c := listenerrig.Dial(t, addr)
	ask(t, c, "x")
	r.Main(func() {
		if !r.Manager.Remove("a") || r.Manager.Remove("a") {
			t.Error("the listener is there once")
		}
	})
	r.Settle()
	if x, err := net.Dial("tcp", addr); err == nil {
		x.Close()
		t.Fatal("a removed listener still accepts")
	}
	io.WriteString(c, "y")
	if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
		t.Fatalf("a draining connection: %v", err)
	}
	closed(t, c)
	r.WantStat("listener_manager.listener_removed", "1")
	r.WantStat("listener_manager.total_listeners_draining", "0")
}

func TestWarmingKeepsTheOldListener(t *testing.T) {
	var done func()
	f := &listener.Factories{Listener: map[string]listener.FilterFactory{}}
	f.Listener[slowURL] = slowFilter(&done)
	r := listenerrig.New(t, listenerrig.Options{DrainTime: time.Hour, Factories: f})
	addr := r.MustAdd(echoListener("a", chain("old")))
	if err := r.Add(echoListener("a", chain("new")+`listener_filters: [{name: slow, typed_config: {"@type": `+slowURL+`, value: true}}]`)); err != nil {
		t.Fatal(err)
	}
	r.WantStat("listener_manager.total_listeners_warming", "1")
	if said, _ := ask(t, listenerrig.Dial(t, addr), "x"); !strings.HasPrefix(said, "old ") {
		t.Fatalf("said %q", said)
	}
	r.Main(done)
	r.Settle()
	r.WantStat("listener_manager.total_listeners_warming", "0")
	if said, _ := ask(t, listenerrig.Dial(t, addr), "x"); !strings.HasPrefix(said, "new ") {
		t.Fatalf("said %q", said)
	}
}

func TestConnectionLimit(t *testing.T) {
	r := listenerrig.New(t, listenerrig.Options{Runtime: func(key string, def uint64) uint64 {
		if key == "envoy.resource_limits.listener.a.connection_limit" {
			return 2
		}
		return def
	}})
	addr := r.MustAdd(echoListener("a", chain("one")))
	a, b := listenerrig.Dial(t, addr), listenerrig.Dial(t, addr)
	ask(t, a, "x")
	ask(t, b, "x")
	closed(t, listenerrig.Dial(t, addr))
	r.WantStat("listener.a.downstream_cx_overflow", "1")
	a.Close()
	r.WantStat("listener.a.downstream_cx_active", "1")
	ask(t, listenerrig.Dial(t, addr), "x")
}

func TestExactBalance(t *testing.T) {
	r := listenerrig.New(t, listenerrig.Options{Workers: 3})
	addr := r.MustAdd(echoListener("a", "connection_balance_config: {exact_balance: {}}\n"+chain("one")))
	for range 12 {
		ask(t, listenerrig.Dial(t, addr), "x")
	}
	for w := range 3 {
		r.WantStat(fmt.Sprintf("listener.a.worker_%d.downstream_cx_active", w), "4")
	}
}

func listenAll(t *testing.T) int {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(fd, 16); err != nil {
		t.Fatal(err)
	}
	return fd
}

// TestMultipathTCP is about the socket only: plain TCP clients are served, too.
func TestMultipathTCP(t *testing.T) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_MPTCP)
	if err != nil {
		t.Skip("this kernel has no MPTCP: ", err)
	}
	unix.Close(fd)
	r := listenerrig.New(t, listenerrig.Options{})
	addr := r.MustAdd("name: a\nenable_mptcp: true\naddress: {socket_address: {address: 127.0.0.1, port_value: 0}}\n" + chain("one"))
	if got := hello(t, addr); got != "one" {
		t.Fatalf("got %q", got)
	}
	err = r.Add("name: b\nenable_mptcp: true\naddress: {pipe: {path: '@weir-mptcp'}}\n" + chain("one"))
	if err == nil || !strings.Contains(err.Error(), "enable_mptcp") {
		t.Fatal(err)
	}
}
