//go:build e2e

package e2e

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weirproxy/weir/internal/netnsrig"
	"github.com/weirproxy/weir/internal/testbinary"
)

// demo is the demo's binary, whose own checks are the test.
var demoBinary = sync.OnceValues(func() (string, error) { return testbinary.Build("test/demo") })

func demo(t *testing.T) *exec.Cmd {
	t.Helper()
	netnsrig.RequireRoot(t)
	weir, err := testbinary.Weir()
	if err != nil {
		t.Fatal(err)
	}
	binary, err := demoBinary()
	if err != nil {
		t.Fatal(err)
	}
	return exec.CommandContext(t.Context(), binary, "-weir", weir)
}

const cleanedUp = "Cleaned up: no namespace, cgroup, program, map, route or process is left."

func TestDemo(t *testing.T) {
	start := time.Now()
	out, err := demo(t).CombinedOutput()
	if err != nil || !strings.Contains(string(out), cleanedUp) {
		t.Fatalf("%v:\n%s", err, out)
	}
	if took := time.Since(start); took > 3*time.Minute {
		t.Errorf("took %s", took)
	}
}

// Ctrl-C at any step: everything is removed, and the demo can run again; so it
// can after SIGKILL, when it sweeps up first.
func TestDemoInterrupted(t *testing.T) {
	for _, step := range []string{"── 1.", "── 2.", "── 3.", "── 5."} {
		out, err := interrupt(t, step, os.Interrupt)
		if err == nil || !strings.Contains(out, cleanedUp) {
			t.Errorf("interrupted in step %s: %v\n%s", step, err, out)
		}
	}
	interrupt(t, "── 3.", os.Kill)
	TestDemo(t)
}

// interrupt runs the demo and sends it a signal once it has written word.
func interrupt(t *testing.T, word string, sig os.Signal) (output string, err error) {
	t.Helper()
	cmd := demo(t)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	cmd.Stdout, cmd.Stderr = w, w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	var text strings.Builder
	for lines := bufio.NewScanner(r); lines.Scan(); {
		fmt.Fprintln(&text, lines.Text())
		if strings.Contains(lines.Text(), word) {
			cmd.Process.Signal(sig)
		}
	}
	err = cmd.Wait()
	return text.String(), err
}
