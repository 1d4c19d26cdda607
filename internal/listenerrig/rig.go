// Package listenerrig runs listeners for tests: a main loop, workers, a stats
// store and a listener manager, over real sockets. Tests of listeners and of
// listener and network filters use it.
package listenerrig

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/wrapperspb"
	"sigs.k8s.io/yaml"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/fraction"
	"github.com/weirproxy/weir/proxy/listener"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/stats"
)

// Rig is a running manager. Its methods may be called from the test.
type Rig struct {
	t       testing.TB
	Server  *listener.Server
	Manager *listener.Manager
}

// Options vary a rig.
type Options struct {
	Workers   int // 1 when 0
	DrainTime time.Duration
	Runtime   fraction.Runtime
	Factories *listener.Factories
	AccessLog listener.AccessLogCompiler
}

// New starts a rig, which ends with the test. Chains may use the network
// filter "echo" (see Echo) besides the options' factories.
func New(t testing.TB, o Options) *Rig {
	t.Helper()
	s := &listener.Server{Runtime: o.Runtime, AccessLog: o.AccessLog}
	loop := func(name string, worker int) *network.Loop {
		l, err := network.NewLoop(name, worker)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	s.Main = loop("main", 0)
	owners := []stats.Owner{s.Main}
	for w := range max(o.Workers, 1) {
		l := loop(fmt.Sprintf("worker_%d", w), w+1)
		s.Workers = append(s.Workers, l)
		owners = append(owners, l)
	}
	s.Stats = stats.NewStore(owners...)
	f := o.Factories
	if f == nil {
		f = &listener.Factories{}
	}
	if f.Network == nil {
		f.Network = map[string]listener.NetworkFilter{}
	}
	f.Network[echoURL] = listener.NetworkFilter{New: newEcho, Terminal: true}
	r := &Rig{t: t, Server: s, Manager: listener.NewManager(s, listener.Options{Factories: f, DrainTime: o.DrainTime})}
	for _, l := range append([]*network.Loop{s.Main}, s.Workers...) {
		done := make(chan struct{})
		go func() { l.Run(); close(done) }()
		t.Cleanup(func() { l.Exit(); <-done; l.Close() })
	}
	r.Main(func() {
		if err := r.Manager.Start(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// Main runs f on the main loop and waits.
func (r *Rig) Main(f func()) {
	done := make(chan struct{})
	r.Server.Main.Post(func() { f(); close(done) })
	<-done
}

// Settle waits until what was posted to workers and back has run.
func (r *Rig) Settle() {
	for range 2 {
		for _, w := range r.Server.Workers {
			done := make(chan struct{})
			w.Post(func() { close(done) })
			<-done
		}
		r.Main(func() {})
	}
}

// Parse makes a Listener of YAML.
func Parse(t testing.TB, config string) *listenerv3.Listener {
	t.Helper()
	j, err := yaml.YAMLToJSON([]byte(config))
	if err != nil {
		t.Fatal(err)
	}
	l := &listenerv3.Listener{}
	if err := protojson.Unmarshal(j, l); err != nil {
		t.Fatal(err)
	}
	return l
}

// Add adds or updates a listener and returns the error.
func (r *Rig) Add(config string) error {
	r.t.Helper()
	l := Parse(r.t, config)
	var err error
	r.Main(func() { _, err = r.Manager.AddOrUpdate("listener", l, "1", false) })
	r.Settle()
	return err
}

// MustAdd is Add that fails the test; it returns the listener's address.
func (r *Rig) MustAdd(config string) string {
	r.t.Helper()
	if err := r.Add(config); err != nil {
		r.t.Fatal(err)
	}
	name := Parse(r.t, config).GetName()
	var addr string
	r.Main(func() {
		for _, d := range r.Manager.Dump() {
			if d.Name == name && d.State == "active" {
				addr = d.Addresses[0].String()
			}
		}
	})
	return addr
}

// Stat is the value of a counter or gauge, by its name in the text page.
func (r *Rig) Stat(name string) string {
	r.t.Helper()
	snap, err := r.Server.Stats.Snapshot(context.Background())
	if err != nil {
		r.t.Fatal(err)
	}
	var page bytes.Buffer
	if err := snap.WriteText(&page, stats.Options{Types: stats.All}); err != nil {
		r.t.Fatal(err)
	}
	for line := range strings.SplitSeq(page.String(), "\n") {
		if v, ok := strings.CutPrefix(line, name+": "); ok {
			return v
		}
	}
	return ""
}

// WantStat waits for a statistic to have a value.
func (r *Rig) WantStat(name, want string) {
	r.t.Helper()
	var got string
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if got = r.Stat(name); got == want {
			return
		}
	}
	r.t.Errorf("%s is %q, want %q", name, got, want)
}

// Dial connects to addr, with a deadline for all that follows.
func Dial(t testing.TB, addr string) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(10 * time.Second))
	return c.(*net.TCPConn)
}

const echoURL = "type.googleapis.com/google.protobuf.StringValue"

// echo answers the first bytes with its tag and what the connection's Info
// says, and all bytes with themselves.
type echo struct {
	cb   *network.ReadCallbacks
	tag  string
	said bool
}

func newEcho(_ field.Path, a *anypb.Any, _ *listener.FactoryContext) (network.FilterFactory, error) {
	v := &wrapperspb.StringValue{}
	if err := a.UnmarshalTo(v); err != nil {
		return nil, err
	}
	return func(cb *network.ReadCallbacks) network.ReadFilter { return &echo{cb: cb, tag: v.Value} }, nil
}

// Echo is a network filter's YAML, in flow style.
func Echo(tag string) string {
	return fmt.Sprintf(`{name: echo, typed_config: {"@type": %s, value: %q}}`, echoURL, tag)
}

// Describe is what the echo filter says of its connection, first.
func Describe(tag string, c *network.Connection) string {
	s := fmt.Sprintf("%s remote=%v local=%v", tag, c.RemoteAddress().Addr(), c.LocalAddress())
	if i := c.Info; i != nil {
		s += fmt.Sprintf(" sni=%s alpn=%v transport=%s pod=%s meta=%v", i.ServerName, i.ALPN, i.TransportProtocol, i.FilterState["weir.pod"], i.Metadata)
	}
	return s + "\n"
}

func (e *echo) OnNewConnection() network.FilterStatus { return network.Continue }

func (e *echo) OnData(b *network.Buffer, end bool) network.FilterStatus {
	c := e.cb.Connection()
	out := c.Loop().NewBuffer()
	if !e.said {
		e.said = true
		out.AppendString(Describe(e.tag, c))
	}
	out.Move(b)
	c.Write(out, end)
	return network.StopIteration
}
