package listener_test

import (
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/internal/listenerrig"
	"github.com/weirproxy/weir/proxy/listener"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/pods"
)

func itoa(n int) string { return strconv.Itoa(n) }

// podSocket is of the pod shop/web.
func podSocket(r *listenerrig.Rig, od listener.OrigDst) listener.PodSocket {
	pod := pods.NewTable(r.Server.Stats).Put(7, pods.Identity{Namespace: "shop", Name: "web"}, nil)
	return listener.PodSocket{Pod: pod, OrigDst: od}
}

// TestAttachedSocket hands a socket over before its listener exists: clients
// wait in its queue, are served when the listener comes, through its updates,
// and no more after the socket was detached.
func TestAttachedSocket(t *testing.T) {
	r := listenerrig.New(t, listenerrig.Options{Workers: 2, DrainTime: time.Hour})
	fd := listenAll(t)
	sa, _ := unix.Getsockname(fd)
	addr := fmt.Sprintf("127.0.0.9:%d", sa.(*unix.SockaddrInet4).Port)
	r.Main(func() {
		if err := r.Manager.AttachSocket("virtual", fd, podSocket(r, listener.SockOpt)); err != nil {
			t.Error(err)
		}
	})
	early := listenerrig.Dial(t, addr)
	config := func(tag string) string {
		return "name: virtual\nbind_to_port: false\naddress: {socket_address: {address: 0.0.0.0, port_value: 15001}}\nstat_prefix: v\nmetadata: {filter_metadata: {x: {v: " + tag + "}}}\n" + chain(tag)
	}
	r.MustAdd(config("one"))
	if said, _ := ask(t, early, "x"); !strings.HasPrefix(said, "one remote=127.0.0.1 local="+addr) || !strings.Contains(said, "pod=shop/web") {
		t.Fatalf("said %q", said)
	}
	r.MustAdd(config("two"))
	if said, _ := ask(t, listenerrig.Dial(t, addr), "x"); !strings.HasPrefix(said, "two ") {
		t.Fatalf("said %q", said)
	}
	r.Main(func() { r.Manager.DetachSocket(fd) })
	r.Settle()
	if c, err := net.Dial("tcp", addr); err == nil {
		c.Close()
		t.Fatal("a detached socket still accepts")
	}
	io.WriteString(early, "y")
	if _, err := io.ReadFull(early, make([]byte, 1)); err != nil {
		t.Fatalf("a connection of the detached socket: %v", err)
	}
	r.Main(func() {
		f, _ := os.Open(os.DevNull)
		defer f.Close()
		dup, _ := unix.Dup(int(f.Fd()))
		if err := r.Manager.AttachSocket("virtual", dup, podSocket(r, listener.SockOpt)); err == nil {
			t.Error("a file was taken for a listening socket")
		}
	})
}

// TestDefersAccept has the kernel keep connections until their clients have
// spoken, while the listener that has the socket waits for that anyway.
func TestDefersAccept(t *testing.T) {
	asks := func(field.Path, *anypb.Any, *listener.FactoryContext) (listener.Filter, error) {
		return asksForData{}, nil
	}
	quiet := func(field.Path, *anypb.Any, *listener.FactoryContext) (network.FilterFactory, error) {
		return func(*network.ReadCallbacks) network.ReadFilter { return nil }, nil
	}
	r := listenerrig.New(t, listenerrig.Options{Factories: &listener.Factories{
		Listener: map[string]listener.FilterFactory{"type.googleapis.com/google.protobuf.Empty": asks},
		Network:  map[string]listener.NetworkFilter{"type.googleapis.com/google.protobuf.Empty": {New: quiet, Terminal: true, ClientFirst: true}},
	}})
	fd := listenAll(t)
	deferred := func() (seconds int) {
		r.Main(func() { seconds, _ = unix.GetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_DEFER_ACCEPT) })
		return seconds
	}
	const empty = `{name: x, typed_config: {"@type": type.googleapis.com/google.protobuf.Empty}}`
	speaks, waits := listenerrig.Echo("echo"), empty
	r.Main(func() {
		if err := r.Manager.AttachSocket("l", fd, podSocket(r, listener.SockOpt)); err != nil {
			t.Error(err)
		}
	})
	for _, tt := range []struct {
		name, config string
		want         bool
	}{
		{"the proxy may speak first", "filter_chains: [{filters: [" + speaks + "]}]", false},
		{"every chain waits", "filter_chains: [{filters: [" + waits + "]}]", true},
		{"but one", "filter_chains: [{filters: [" + waits + "]}]\ndefault_filter_chain: {filters: [" + speaks + "]}", false},
		{"a listener filter asks", "listener_filters: [" + empty + "]\nfilter_chains: [{filters: [" + speaks + "]}]", true},
		{"unless it is disabled", "listener_filters: [{filter_disabled: {any_match: true}, " + empty[1:] + "]\nfilter_chains: [{filters: [" + speaks + "]}]", false},
	} {
		r.MustAdd("name: l\nbind_to_port: false\naddress: {socket_address: {address: 0.0.0.0, port_value: 15001}}\nstat_prefix: l\n" + tt.config)
		if got := deferred() > 0; got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}

type asksForData struct{}

func (asksForData) AsksForData()                             {}
func (asksForData) Inspect(*listener.Socket) listener.Status { return listener.Continue }

// TestTransparentSocket takes the local address for the original destination,
// except of clients that connect to the listening socket itself.
func TestTransparentSocket(t *testing.T) {
	r := listenerrig.New(t, listenerrig.Options{})
	fd := listenAll(t)
	sa, _ := unix.Getsockname(fd)
	port := sa.(*unix.SockaddrInet4).Port
	r.MustAdd("name: virtual\nuse_original_dst: true\nbind_to_port: false\naddress: {socket_address: {address: 0.0.0.0, port_value: 15001}}\nstat_prefix: v\n" + chain("virtual"))
	r.MustAdd(fmt.Sprintf("name: exact\nbind_to_port: false\naddress: {socket_address: {address: 127.0.0.5, port_value: %d}}\nstat_prefix: exact\n", port) + chain("exact"))
	r.Main(func() {
		if err := r.Manager.AttachSocket("virtual", fd, podSocket(r, listener.Transparent)); err != nil {
			t.Error(err)
		}
	})
	r.Settle()
	// The socket listens on all addresses with this port: every connection is
	// one to itself, and going on to there would come back for ever.
	if said, _ := ask(t, listenerrig.Dial(t, fmt.Sprintf("127.0.0.5:%d", port)), "x"); !strings.HasPrefix(said, "virtual ") {
		t.Fatalf("said %q", said)
	}
}

// TestOutOfDescriptors takes all descriptors away: the listener must neither
// spin nor stop for good.
func TestOutOfDescriptors(t *testing.T) {
	r := listenerrig.New(t, listenerrig.Options{})
	addr := r.MustAdd(echoListener("a", chain("one")))
	c := listenerrig.Dial(t, addr) // our end has its descriptor already
	ask(t, c, "x")
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, p, _ := strings.Cut(addr, ":")
	port, _ := strconv.Atoi(p)

	var old unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	low := old
	low.Cur = uint64(lowestFree(t))
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &low); err != nil {
		t.Fatal(err)
	}
	restored := false
	restore := func() {
		if !restored {
			restored = true
			unix.Setrlimit(unix.RLIMIT_NOFILE, &old)
		}
	}
	defer restore()
	if err := unix.Connect(fd, &unix.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	conn := os.NewFile(uintptr(fd), "client")
	defer conn.Close()
	// The second try, a pause later, resets those who wait.
	r.WantStat("listener.a.downstream_cx_overload_reject", "1")
	restore()
	if said, _ := ask(t, listenerrig.Dial(t, addr), "x"); !strings.HasPrefix(said, "one ") {
		t.Fatalf("said %q", said)
	}
}

// lowestFree is a descriptor above all that are open; those below it are
// filled up.
func lowestFree(t *testing.T) int {
	t.Helper()
	top := 0
	ents, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range ents {
		n, _ := strconv.Atoi(e.Name())
		top = max(top, n)
	}
	for {
		fd, err := unix.Open(os.DevNull, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Close(fd) })
		if fd >= top {
			return fd + 1
		}
	}
}

// TestYield leaves an attached socket to another proxy, here the test, and
// takes it up again: nobody who connects is lost.
func TestYield(t *testing.T) {
	r := listenerrig.New(t, listenerrig.Options{Workers: 2, DrainTime: time.Hour})
	fd := listenAll(t)
	other, err := unix.Dup(fd)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(other)
	sa, _ := unix.Getsockname(fd)
	addr := fmt.Sprintf("127.0.0.9:%d", sa.(*unix.SockaddrInet4).Port)
	config := func(tag string) string {
		return "name: virtual\nbind_to_port: false\naddress: {socket_address: {address: 0.0.0.0, port_value: 15001}}\nstat_prefix: v\n" + chain(tag)
	}
	r.MustAdd(config("one"))
	r.Main(func() {
		if err := r.Manager.AttachSocket("virtual", fd, podSocket(r, listener.SockOpt)); err != nil {
			t.Error(err)
		}
		r.Manager.Yield(true)
	})
	r.MustAdd(config("two")) // which does not take the socket up
	r.Settle()
	for range 20 {
		c := listenerrig.Dial(t, addr)
		got, _, err := unix.Accept(other)
		if err != nil {
			t.Fatalf("the other does not get the connection: %v", err)
		}
		unix.Close(got)
		c.Close()
	}
	waits := listenerrig.Dial(t, addr)
	r.Main(func() { r.Manager.Yield(false) })
	if said, _ := ask(t, waits, "x"); !strings.HasPrefix(said, "two ") {
		t.Fatalf("said %q", said)
	}
}
