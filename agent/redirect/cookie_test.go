package redirect

import (
	"testing"

	"github.com/weirproxy/weir/agent/netns"
	"github.com/weirproxy/weir/internal/netnsrig"
)

// Old kernels' way must tell what the new one's does.
func TestCookieByProgram(t *testing.T) {
	p := netnsrig.Test(t, "a")[0]
	ns, err := netns.Open(p.Netns)
	if err != nil {
		t.Fatal(err)
	}
	defer ns.Close()
	got, err := cookieByProgram(ns)
	if err != nil {
		t.Fatal(err)
	}
	want, err := NetnsCookie(ns)
	if err != nil || got != want || got == 0 {
		t.Errorf("%d by program, %d by the socket option, %v", got, want, err)
	}
}
