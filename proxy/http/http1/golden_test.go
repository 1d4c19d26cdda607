package http1

import (
	"flag"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the verdicts of testdata anew")

// golden is a file of cases: raw bytes and the verdict on them.
type golden struct {
	path  string
	parts []part
}

// part is one case, or text before one.
type part struct {
	name     string
	options  []string
	raw      string // as in the file, without line ends
	text     string // as in the file, up to the verdict
	verdict  string
	trailing string
}

func readGolden(t *testing.T, path string) *golden {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	g := &golden{path: path, parts: []part{{}}}
	for line := range strings.Lines(string(data)) {
		p := &g.parts[len(g.parts)-1]
		text := strings.TrimSuffix(line, "\n")
		if name, ok := strings.CutPrefix(text, "== "); ok {
			g.parts = append(g.parts, part{name: name, text: line})
			continue
		}
		verdict, isVerdict := strings.CutPrefix(text, "=> ")
		switch {
		case p.name == "" || text == "" || p.trailing != "":
			p.trailing += line
		case isVerdict:
			p.verdict += verdict + "\n"
		default:
			p.text += line
			if options, ok := strings.CutPrefix(text, "@ "); ok {
				p.options = strings.Fields(options)
			} else {
				p.raw += text
			}
		}
	}
	return g
}

// run gives each case to verdict and compares.
func (g *golden) run(t *testing.T, verdict func(t *testing.T, p part, raw []byte) string) {
	seen := map[string]bool{}
	for i := range g.parts {
		p := &g.parts[i]
		if p.name == "" {
			continue
		}
		if seen[p.name+p.raw] {
			t.Errorf("%s: the case %q is there twice", g.path, p.name)
		}
		seen[p.name+p.raw] = true
		t.Run(p.name, func(t *testing.T) {
			got := verdict(t, *p, unquote(t, p.raw))
			if *update {
				p.verdict = got
			} else if got != p.verdict {
				t.Errorf("got\n%s\nwant\n%s", got, p.verdict)
			}
		})
	}
	if *update && !t.Failed() {
		g.write(t)
	}
}

func (g *golden) write(t *testing.T) {
	var b strings.Builder
	for _, p := range g.parts {
		b.WriteString(p.text)
		for line := range strings.Lines(p.verdict) {
			b.WriteString("=> " + line)
		}
		b.WriteString(p.trailing)
	}
	if err := os.WriteFile(g.path, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

var repeated = regexp.MustCompile(`\{([^{}]*)\*(\d+)\}`)

func unquote(t *testing.T, s string) []byte {
	t.Helper()
	s = repeated.ReplaceAllStringFunc(s, func(m string) string {
		x := repeated.FindStringSubmatch(m)
		n, _ := strconv.Atoi(x[2])
		return strings.Repeat(x[1], n)
	})
	out, err := strconv.Unquote(`"` + s + `"`)
	if err != nil {
		t.Fatalf("%v in %q", err, s)
	}
	return []byte(out)
}

func settingsOf(t *testing.T, options []string) *Settings {
	s := &Settings{}
	for _, o := range options {
		name, value, _ := strings.Cut(o, "=")
		switch name {
		case "custom_methods":
			s.AllowCustomMethods = true
		case "http10":
			s.AcceptHTTP10, s.DefaultHost = true, "default"
		case "no_absolute":
			s.NoAbsoluteURL = true
		case "trailers":
			s.EnableTrailers = true
		case "chunked_length":
			s.AllowChunkedLength = true
		case "count":
			n, _ := strconv.Atoi(value)
			s.MaxHeadersCount = uint32(n)
		case "underscores":
			s.Underscores = map[string]UnderscoreAction{"drop": DropUnderscores, "reject": RejectUnderscores}[value]
		default:
			t.Fatalf("unknown option %q", o)
		}
	}
	return s
}

// TestRequests holds the server to testdata/requests.txt, however the bytes
// are cut and whenever the answers come.
func TestRequests(t *testing.T) {
	readGolden(t, "testdata/requests.txt").run(t, func(t *testing.T, p part, raw []byte) string {
		conn, set := newConn(t), settingsOf(t, p.options)
		return everyCut(t, raw, func(cuts ...int) string {
			want := feed(t, conn, raw, set, false, cuts...).verdict()
			if len(cuts) == 1 && cuts[0]%4 != 0 {
				return want
			}
			if later := feed(t, conn, raw, set, true, cuts...).verdict(); later != want {
				t.Errorf("cut at %v and answered later:\n%s\nat once:\n%s", cuts, later, want)
			}
			return want
		})
	})
}

// everyCut returns what of gives for raw whole, and fails when it gives
// anything else for raw split at any point or byte by byte. Long inputs are
// split at some points only.
func everyCut(t *testing.T, raw []byte, of func(cuts ...int) string) string {
	t.Helper()
	want := of()
	same := func(cuts ...int) {
		if got := of(cuts...); got != want {
			t.Errorf("cut at %v of %d bytes:\n%s\nwhole:\n%s", cuts[:min(len(cuts), 3)], len(raw), got, want)
		}
	}
	step := 1 + len(raw)/150
	for i := 1; i < len(raw) && !t.Failed(); i += step {
		same(i)
	}
	if len(raw) > 1 {
		each := make([]int, 0, len(raw))
		for i := 1; i < len(raw); i++ {
			each = append(each, i)
		}
		same(each...)
	}
	return want
}
