package grpcweb

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/weirproxy/weir/proxy/network"
)

func buffer(s string) *network.Buffer {
	b := &network.Buffer{}
	b.Init(&network.Pool{})
	b.AppendString(s)
	return b
}

func pieces(s string, size int) (out []string) {
	for ; len(s) > size; s = s[size:] {
		out = append(out, s[:size])
	}
	return append(out, s)
}

func TestDecode(t *testing.T) {
	for in, want := range map[string]string{
		"AAAAAAF4":     "\x00\x00\x00\x00\x01x",
		"eA==eHk=eHh4": "xxyxxx",
		"":             "",
		"AAA":          "unfinished",
		"A!AA":         "bad",
		"A=AA":         "bad",
		"AA\r\n":       "bad",
		"AB==":         "bad",
	} {
		for size := 1; size <= max(1, len(in)); size++ {
			var d decoder
			got := ""
			for _, p := range pieces(in, size) {
				b := buffer(p)
				if !d.decode(b) {
					got = "bad"
					break
				}
				got += string(b.Bytes())
			}
			if d.nLeft > 0 && got != "bad" {
				got = "unfinished"
			}
			if got != want {
				t.Errorf("%q in pieces of %d: %q, want %q", in, size, got, want)
			}
		}
	}
}

// TestEncode: each message can be read as soon as it has been received whole.
func TestEncode(t *testing.T) {
	messages := []string{"\x00\x00\x00\x00\x01x", "\x00\x00\x00\x00\x02xy", "\x00\x00\x00\x00\x00"}
	want := ""
	for _, m := range messages {
		want += base64.StdEncoding.EncodeToString([]byte(m))
	}
	in := strings.Join(messages, "")
	for size := 1; size <= len(in); size++ {
		var e encoder
		got := ""
		for _, p := range pieces(in, size) {
			b := buffer(p)
			e.encode(b, false)
			got += string(b.Bytes())
		}
		if got != want {
			t.Errorf("in pieces of %d: %q, want %q", size, got, want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add("AAAAAAF4", 3)
	f.Fuzz(func(t *testing.T, s string, size int) {
		var whole, split decoder
		a := buffer(s)
		ok := whole.decode(a)
		if size <= 0 {
			return
		}
		got, okSplit := "", true
		for _, p := range pieces(s, size) {
			b := buffer(p)
			okSplit = okSplit && split.decode(b)
			got += string(b.Bytes())
		}
		if ok != okSplit || ok && got != string(a.Bytes()) {
			t.Errorf("%q: whole %v %q, split %v %q", s, ok, a.Bytes(), okSplit, got)
		}
	})
}
