package supervise

import (
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func script(t *testing.T, text string) []string {
	t.Helper()
	return []string{"sh", "-c", text, "sh", filepath.Join(t.TempDir(), "runs")}
}

func TestStartsAgain(t *testing.T) {
	argv := script(t, `echo run >>$1; [ $(wc -l <$1) -ge 3 ] || kill -9 $$`)
	if err := Run(t.Context(), argv, nil, nil, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	if text, _ := os.ReadFile(argv[4]); strings.Count(string(text), "run") != 3 {
		t.Errorf("it ran %q", text)
	}
}

// A program finds its environment and files each time. What it leaves behind
// when it is killed is buried.
func TestFilesAndOrphans(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	argv := script(t, `echo run $GIVEN >>$1; [ $(wc -l <$1) -ge 3 ] || { (exec sleep 0.01) & echo $! >&3; kill -9 $$; }
		sleep 0.1`)
	if err := Run(t.Context(), argv, []string{"GIVEN=this"}, []*os.File{w}, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	w.Close()
	if text, _ := os.ReadFile(argv[4]); string(text) != strings.Repeat("run this\n", 3) {
		t.Errorf("it ran %q", text)
	}
	orphans, _ := io.ReadAll(r)
	for _, pid := range strings.Fields(string(orphans)) {
		if _, err := os.Stat("/proc/" + pid); err == nil {
			t.Errorf("%s is left", pid)
		}
	}
	if n := len(strings.Fields(string(orphans))); n != 2 {
		t.Errorf("%d orphans: %s", n, orphans)
	}
}

// A program that is told to end is not started again; its code is passed on.
func TestPassesSignalsOn(t *testing.T) {
	argv := script(t, `trap 'exit 7' TERM; echo run >>$1; kill -TERM $PPID; while :; do sleep 0.01; done`)
	err := Run(t.Context(), argv, nil, nil, slog.New(slog.DiscardHandler))
	var e *ErrExited
	if !errors.As(err, &e) || e.Code != 7 {
		t.Errorf("%v", err)
	}
	if text, _ := os.ReadFile(argv[4]); strings.Count(string(text), "run") != 1 {
		t.Errorf("it ran %q", text)
	}
}
