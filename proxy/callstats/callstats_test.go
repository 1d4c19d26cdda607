package callstats

import (
	"fmt"
	"testing"

	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/stats"
)

func TestParseMethod(t *testing.T) {
	for path, want := range map[string]string{
		"/a.b.S/M": "a.b.S M", "/S/M?x=/y": "S M", "/S": "", "/": "", "": "", "/S/M/x": "", "//M": "",
	} {
		m, ok := ParseMethod(path)
		if got := m.Service + " " + m.Name; ok != (want != "") || ok && got != want {
			t.Errorf("%q: %q, %v", path, got, ok)
		}
	}
	m, _ := ParseMethod("/a.b.S/M")
	if m = m.ReplaceDots(); m.name() != "a_b_S.M" {
		t.Error(m.name())
	}
}

func TestFrames(t *testing.T) {
	body := []byte{0, 0, 0, 0, 3, 'a', 'b', 'c', 0, 0, 0, 0, 0, 1, 0, 0, 1, 0}
	body = append(append(body, make([]byte, 256)...), 0)
	var pool network.Pool
	for size := 1; size <= len(body); size++ {
		var f Frames
		n := uint64(0)
		for at := 0; at < len(body); at += size {
			b := network.Buffer{}
			b.Init(&pool)
			b.Append(body[at:min(at+size, len(body))])
			n += f.Add(&b)
			b.Reset()
		}
		if n != 4 {
			t.Errorf("in pieces of %d: %d messages", size, n)
		}
	}
}

type inline struct{}

func (inline) Post(f func()) { f() }

func TestTableIsBounded(t *testing.T) {
	table := NewTable(stats.NewStore(inline{}), 0, "grpc")
	for i := range MaxMethods {
		m, _ := ParseMethod(fmt.Sprintf("/s/m%d", i))
		if table.Method("c", m) == nil {
			t.Fatal(i)
		}
	}
	m, _ := ParseMethod("/s/more")
	if table.Method("c", m) != nil {
		t.Error("no bound")
	}
	table.Method("c", m).Ended("0") // does nothing
	m, _ = ParseMethod("/s/m1")
	s := table.Method("c", m)
	for _, status := range []string{"0", "3", "99", "x", ""} {
		s.Ended(status)
	}
	if s.Success != 1 || s.Failure != 3 || s.Total != 4 || s.Status3 != 1 {
		t.Errorf("%+v", s)
	}
	table.Close()
}
