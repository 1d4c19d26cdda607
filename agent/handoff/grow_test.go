package handoff

import (
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// What a pod is changes while its sockets stay: the proxy is told of that, and
// is not handed the sockets again.
func TestIdentityChanges(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	a := startAgent(t, path)
	one := pod(t, 1)
	one.ServiceAccount, one.Labels = "seller", map[string]string{"app": "web"}
	a.server.Add(one)
	_, e := startClient(t, path)
	e.want(t, "+1")
	a.server.Add(one) // nothing new
	changed := one
	changed.Labels = map[string]string{"app": "web", "tier": "front"}
	a.server.Add(changed)
	e.want(t, "~1 seller map[app:web tier:front]")
	e.wantNone(t)
}

// A proxy of tomorrow: a later version, with fields and messages that this
// agent does not know.
func TestNewerProxy(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	a := startAgent(t, path)
	a.server.Add(pod(t, 1))
	u, err := net.DialUnix(network, nil, &net.UnixAddr{Name: path, Net: network})
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	for _, m := range []string{`{"type":"hello","version":99,"colour":"red"}`, `{"type":"sing","song":"x"}`, `{"type":"ready"}`} {
		if _, err := u.Write([]byte(m)); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []messageType{typeHello, typePodAdded, typeSynced} {
		if got := next(t, u); got.Type != want {
			t.Fatalf("message %q, want %q", got.Type, want)
		}
	}
}

// An agent of tomorrow.
func TestNewerAgent(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.ListenUnix(network, &net.UnixAddr{Name: path, Net: network})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	beat := startAgent(t, filepath.Join(t.TempDir(), "other")).beat // any page will do
	p := pod(t, 1)
	go func() {
		u, err := l.AcceptUnix()
		if err != nil {
			return
		}
		c := newConn(u)
		c.send(&message{Type: typeHello, Version: 99}, int(beat.Fd()))
		c.send(&message{Type: "sing"}, int(beat.Fd()))
		c.send(podAdded(p), p.fds()...)
	}()
	_, e := startClient(t, path)
	e.want(t, "+1")
}

func next(t *testing.T, u *net.UnixConn) (m message) {
	t.Helper()
	u.SetReadDeadline(time.Now().Add(5 * time.Second))
	buf := make([]byte, maxMessage)
	n, err := u.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(buf[:n], &m); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestBoundedLabels(t *testing.T) {
	few := map[string]string{"app": "web", "empty": ""}
	if got := bounded(few); !maps.Equal(got, few) {
		t.Errorf("%v, want %v", got, few)
	}
	many := map[string]string{"": "no name", "long": strings.Repeat("x", maxLabel+1)}
	for i := range 1000 {
		many[fmt.Sprintf("label-%d", i)] = strings.Repeat("<", 50) // six bytes each in JSON
	}
	p := Pod{ID: 1, Name: strings.Repeat("n", maxName), Labels: bounded(many)}
	if len(p.Labels) == 0 {
		t.Error("no label is left")
	}
	text, err := json.Marshal(podAdded(p))
	if err != nil || len(text) > maxMessage {
		t.Errorf("a message of %d bytes, %v", len(text), err)
	}
	if err := p.validate(); err != nil {
		t.Error(err)
	}
}
