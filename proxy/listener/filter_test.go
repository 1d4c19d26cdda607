package listener_test

import (
	"io"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/anypb"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/internal/listenerrig"
	"github.com/weirproxy/weir/proxy/listener"
)

const (
	slowURL = "type.googleapis.com/google.protobuf.BoolValue"
	waitURL = "type.googleapis.com/google.protobuf.UInt32Value"
)

// slowFilter is a filter that warms until *done is called.
func slowFilter(done *func()) listener.FilterFactory {
	return func(_ field.Path, _ *anypb.Any, ctx *listener.FactoryContext) (listener.Filter, error) {
		*done = ctx.WaitFor("something")
		return inspect(func(*listener.Socket) listener.Status { return listener.Continue }), nil
	}
}

type inspect func(*listener.Socket) listener.Status

func (f inspect) Inspect(s *listener.Socket) listener.Status { return f(s) }

// waitFor4 wants four bytes; "fail" is refused, "eat!" is consumed.
func waitFor4(field.Path, *anypb.Any, *listener.FactoryContext) (listener.Filter, error) {
	return inspect(func(s *listener.Socket) listener.Status {
		p := string(s.Peek(4))
		switch {
		case p == "fail":
			return listener.Close
		case len(p) < 4:
			return listener.WaitForData
		case p == "eat!" && !s.Consume(4):
			return listener.Close
		}
		s.Info().ServerName = p
		return listener.Continue
	}), nil
}

func filterRig(t *testing.T, extra string) (*listenerrig.Rig, string) {
	f := &listener.Factories{Listener: map[string]listener.FilterFactory{waitURL: waitFor4}}
	r := listenerrig.New(t, listenerrig.Options{Factories: f})
	return r, r.MustAdd(echoListener("a", chain("one")+extra+`
listener_filters: [{name: four, typed_config: {"@type": `+waitURL+`, value: 4}}]
`))
}

func TestListenerFilterSeesBytesAndLeavesThem(t *testing.T) {
	_, addr := filterRig(t, "")
	for _, pieces := range [][]string{{"abcdef"}, {"a", "bcdef"}, {"a", "b", "c", "d", "ef"}} {
		c := listenerrig.Dial(t, addr)
		for _, p := range pieces[:len(pieces)-1] {
			io.WriteString(c, p)
			time.Sleep(2 * time.Millisecond)
		}
		want := strings.Join(pieces, "")
		io.WriteString(c, pieces[len(pieces)-1])
		c.CloseWrite()
		got, err := io.ReadAll(c)
		if err != nil {
			t.Fatal(err)
		}
		said, echoed, _ := strings.Cut(string(got), "\n")
		if !strings.Contains(said, "sni=abcd") || echoed != want {
			t.Fatalf("%q: said %q, echoed %q", pieces, said, echoed)
		}
	}
}

func TestListenerFilterConsumesAndRejects(t *testing.T) {
	r, addr := filterRig(t, "")
	c := listenerrig.Dial(t, addr)
	io.WriteString(c, "eat!rest")
	c.CloseWrite()
	if got, err := io.ReadAll(c); err != nil || !strings.HasSuffix(string(got), "\nrest") {
		t.Fatalf("got %q, %v", got, err)
	}
	c = listenerrig.Dial(t, addr)
	io.WriteString(c, "fail")
	closed(t, c)
	r.WantStat("listener.a.downstream_listener_filter_error", "0") // that is for sockets that can't be read
	c = listenerrig.Dial(t, addr)
	io.WriteString(c, "ab")
	r.WantStat("listener.a.downstream_pre_cx_active", "1")
	c.CloseWrite()
	closed(t, c)
	r.WantStat("listener.a.downstream_listener_filter_remote_close", "1")
	r.WantStat("listener.a.downstream_pre_cx_active", "0")
	if n := r.Manager.Connections(); n != 0 {
		t.Errorf("%d connections left", n)
	}
}

func TestListenerFilterTimeout(t *testing.T) {
	r, addr := filterRig(t, "listener_filters_timeout: 0.05s\n")
	c := listenerrig.Dial(t, addr)
	io.WriteString(c, "ab")
	closed(t, c)
	r.WantStat("listener.a.downstream_pre_cx_timeout", "1")

	r, addr = filterRig(t, "listener_filters_timeout: 0.05s\ncontinue_on_listener_filters_timeout: true\n")
	if said, echoed := ask(t, listenerrig.Dial(t, addr), "ab"); !strings.HasPrefix(said, "one ") || echoed != "ab" {
		t.Fatalf("said %q, echoed %q", said, echoed)
	}
	r.WantStat("listener.a.downstream_pre_cx_timeout", "1")
}

func TestFilterDisabled(t *testing.T) {
	f := &listener.Factories{Listener: map[string]listener.FilterFactory{waitURL: waitFor4}}
	r := listenerrig.New(t, listenerrig.Options{Factories: f})
	for _, c := range []struct {
		predicate string
		disabled  bool
	}{
		{"any_match: true", true},
		{"not_match: {any_match: true}", false},
		{"destination_port_range: {start: 1, end: 65535}", true},
		{"destination_port_range: {start: 1, end: 2}", false},
		{"and_match: {rules: [{any_match: true}, {destination_port_range: {start: 1, end: 2}}]}", false},
		{"or_match: {rules: [{any_match: true}, {destination_port_range: {start: 1, end: 2}}]}", true},
	} {
		addr := r.MustAdd(echoListener("a", chain("one")+`
listener_filters: [{name: four, filter_disabled: {`+c.predicate+`}, typed_config: {"@type": `+waitURL+`, value: 4}}]
`))
		said, _ := ask(t, listenerrig.Dial(t, addr), "abcd")
		if got := !strings.Contains(said, "sni="); got != c.disabled {
			t.Errorf("%s: disabled %v, want %v", c.predicate, got, c.disabled)
		}
	}
}
