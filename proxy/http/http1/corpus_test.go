package http1

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// rawCase is one raw byte sequence to a server and what must become of it.
type rawCase struct {
	Name     string   `json:"name"`
	Class    string   `json:"class"`
	Raw      []byte   `json:"raw_b64"`
	Expect   string   `json:"expect"`
	Why      string   `json:"why"`
	Requests int      `json:"backend_requests"`
	Absent   []string `json:"upstream_absent"`
}

func readCases(t *testing.T, path string) (cases []rawCase) {
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	sc := bufio.NewScanner(f)
	sc.Buffer(nil, 8<<20)
	for sc.Scan() {
		var c rawCase
		if err := json.Unmarshal(sc.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		cases = append(cases, c)
	}
	return cases
}

// TestSharedCorpus runs the raw cases that lie beside the repository.
func TestSharedCorpus(t *testing.T) {
	path := filepath.Join("..", "..", "..", "..", "shared", "http1", "cases.jsonl")
	if _, err := os.Stat(path); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip("no shared/http1/cases.jsonl beside the repository")
	}
	for _, c := range readCases(t, path) {
		t.Run(c.Name, func(t *testing.T) { runCase(t, c) })
	}
}

func runCase(t *testing.T, c rawCase) {
	conn := newConn(t)
	set := &Settings{}
	whole := feed(t, conn, c.Raw, set, false)
	check(t, c, whole)
	want := whole.verdict()
	same := func(how string, later bool, cuts ...int) {
		t.Helper()
		if got := feed(t, conn, c.Raw, set, later, cuts...).verdict(); got != want {
			t.Errorf("%s:\n%s\nwhole:\n%s", how, got, want)
		}
	}
	same("answered later", true)
	if len(c.Raw) > 4096 {
		return
	}
	for i := 1; i < len(c.Raw) && !t.Failed(); i++ {
		same("split", false, i)
	}
	var each []int
	for i := 1; i < len(c.Raw); i++ {
		each = append(each, i)
	}
	same("byte by byte", false, each...)
}

func check(t *testing.T, c rawCase, m *manager) {
	t.Helper()
	got := m.verdict()
	switch c.Expect {
	case "400":
		if m.status != 400 || len(m.messages) > 0 {
			t.Errorf("not refused with 400 (%s):\n%s", c.Why, got)
		}
	case "reject":
		if len(m.messages) > 0 || m.status == 0 && m.streamed {
			t.Errorf("accepted (%s):\n%s", c.Why, got)
		}
	case "forward":
		if len(m.messages) != c.Requests {
			t.Errorf("%d requests, not %d (%s):\n%s", len(m.messages), c.Requests, c.Why, got)
		}
	default:
		if len(m.messages) > c.Requests {
			t.Errorf("%d requests, more than %d (%s):\n%s", len(m.messages), c.Requests, c.Why, got)
		}
	}
}
