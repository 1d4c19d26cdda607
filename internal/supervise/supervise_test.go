package supervise

import (
	"errors"
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
	if err := Run(t.Context(), argv, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	if text, _ := os.ReadFile(argv[4]); strings.Count(string(text), "run") != 3 {
		t.Errorf("it ran %q", text)
	}
}

// A program that is told to end is not started again; its code is passed on.
func TestPassesSignalsOn(t *testing.T) {
	argv := script(t, `trap 'exit 7' TERM; echo run >>$1; kill -TERM $PPID; while :; do sleep 0.01; done`)
	err := Run(t.Context(), argv, slog.New(slog.DiscardHandler))
	var e *ErrExited
	if !errors.As(err, &e) || e.Code != 7 {
		t.Errorf("%v", err)
	}
	if text, _ := os.ReadFile(argv[4]); strings.Count(string(text), "run") != 1 {
		t.Errorf("it ran %q", text)
	}
}
