package listener_test

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/weirproxy/weir/internal/listenerrig"
	"github.com/weirproxy/weir/proxy/network"
)

const inside = "name: inside\nstat_prefix: inside\ninternal_listener: {}\n"

// client is a connection to an internal listener.
type client struct {
	conn *network.Connection
	got  chan string
}

func (c client) OnEvent(ev network.ConnectionEvent) {
	switch ev {
	case network.Connected:
		c.got <- "connected"
	case network.RemoteClose:
		c.got <- "closed " + c.conn.FailureReason()
	}
}
func (client) OnAboveWriteBufferHighWatermark()      {}
func (client) OnBelowWriteBufferLowWatermark()       {}
func (client) OnNewConnection() network.FilterStatus { return network.Continue }
func (c client) OnData(b *network.Buffer, _ bool) network.FilterStatus {
	for p := range b.Pieces {
		c.got <- string(p)
	}
	b.Reset()
	return network.StopIteration
}

func (c client) next(t *testing.T) string {
	t.Helper()
	select {
	case s := <-c.got:
		return s
	case <-time.After(5 * time.Second):
		t.Fatal("nothing happens")
		return ""
	}
}

// connect connects to an internal listener, on the rig's worker.
func connect(t *testing.T, r *listenerrig.Rig, name string) client {
	t.Helper()
	c := client{got: make(chan string, 100)}
	made := make(chan *network.Connection)
	l := r.Server.Workers[0]
	l.Post(func() {
		conn, err := network.Dial(l, network.InternalAddress(name, "e"), network.Address{}, nil, &c, network.Options{})
		if err != nil {
			t.Error(err)
		}
		c.conn = conn
		conn.BuildFilters([]network.FilterFactory{func(*network.ReadCallbacks) network.ReadFilter { return c }})
		conn.Start()
		made <- conn
	})
	<-made
	t.Cleanup(func() { l.Post(func() { c.conn.Close(network.NoFlush) }) })
	return c
}

func TestInternalListener(t *testing.T) {
	r := listenerrig.New(t, listenerrig.Options{})
	if err := r.Add(inside + chain("one")); err != nil {
		t.Fatal(err)
	}
	c := connect(t, r, "inside")
	if got := c.next(t); got != "connected" {
		t.Fatal(got)
	}
	r.Server.Workers[0].Post(func() {
		b := r.Server.Workers[0].NewBuffer()
		io.WriteString(writer{b}, "hello")
		c.conn.Write(b, false)
	})
	if got := c.next(t); !strings.HasPrefix(got, "one ") || !strings.Contains(got, "local=envoy://inside/e") {
		t.Fatalf("the listener says %q", got)
	}
	r.WantStat("listener.inside.downstream_cx_active", "1")
	// An update takes its place for new connections.
	if err := r.Add(inside + chain("two") + "per_connection_buffer_limit_bytes: 1000\n"); err != nil {
		t.Fatal(err)
	}
	if got := connect(t, r, "inside").next(t); got != "connected" {
		t.Fatal(got)
	}
	r.Main(func() { r.Manager.Remove("inside") })
	r.Settle()
	if got := connect(t, r, "inside").next(t); !strings.Contains(got, `no internal listener "inside"`) {
		t.Fatal(got)
	}
}

type writer struct{ b *network.Buffer }

func (w writer) Write(p []byte) (int, error) { w.b.Append(p); return len(p), nil }

func TestInternalListenerHasNoAddress(t *testing.T) {
	r := listenerrig.New(t, listenerrig.Options{})
	err := r.Add(inside + "address: {socket_address: {address: 127.0.0.1, port_value: 0}}\n" + chain("x"))
	if err == nil || !strings.Contains(err.Error(), "listener.address: ") {
		t.Fatal(err)
	}
}
