//go:build costs

package costs

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/weirproxy/weir/internal/netnsrig"
	"github.com/weirproxy/weir/internal/noderig"
	"github.com/weirproxy/weir/internal/testbinary"
)

// This test binary is also the program in the pods that connects.
func TestMain(m *testing.M) {
	if addr := os.Getenv("WEIR_COSTS_CONNECT"); addr != "" {
		if err := connectLoop(addr); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	testbinary.Main(m)
}

// measured reports a figure, and fails the test if it is above its bar.
func measured(t *testing.T, what string, got, bar float64, unit string) {
	t.Helper()
	fmt.Printf("| %s | %.4g %s | ≤ %.4g %s |\n", what, got, unit, bar, unit)
	if got > bar {
		t.Errorf("%s: %.4g %s, and may be %.4g", what, got, unit, bar)
	}
}

// told reports a figure that has no bar.
func told(what string, got float64, unit string) {
	fmt.Printf("| %s | %.4g %s | |\n", what, got, unit)
}

func newNode(t *testing.T) *noderig.Node {
	t.Helper()
	netnsrig.RequireRoot(t)
	weir, err := testbinary.Weir()
	if err != nil {
		t.Fatal(err)
	}
	n, err := noderig.New(weir, "weir-costs-"+strings.ToLower(t.Name()), t.Output())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	return n
}

func addPod(t *testing.T, n *noderig.Node, name string) *netnsrig.Pod {
	t.Helper()
	p, err := n.Rig.AddPod(name)
	if err != nil {
		t.Fatal(err)
	}
	return p
}
