package server

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// proxy is a server that runs in the test's process.
type proxy struct {
	t     testing.TB
	admin string
}

// start runs a proxy until the test ends. config needs an admin address with
// port 0.
func start(t testing.TB, config string) *proxy {
	t.Helper()
	addr := filepath.Join(t.TempDir(), "admin")
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- Run(ctx, Options{ConfigYAML: config, Concurrency: 2, AdminAddressPath: addr, LogLevel: cmp.Or(os.Getenv("WEIR_LOG"), "error"), FlushInterval: 10 * time.Millisecond, DrainTime: 100 * time.Millisecond})
	}()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	p := &proxy{t: t}
	p.until("the admin page is there", func() bool {
		b, err := os.ReadFile(addr)
		p.admin = strings.TrimSpace(string(b))
		return err == nil && p.admin != ""
	})
	return p
}

// until waits for something that nothing tells of.
func (p *proxy) until(what string, ok func() bool) {
	p.t.Helper()
	for deadline := time.Now().Add(15 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			p.t.Fatalf("%s: not within 15 s\n%s", what, p.page("/stats?usedonly"))
		}
	}
}

func (p *proxy) page(path string) string {
	r, err := http.Get("http://" + p.admin + path)
	if err != nil {
		return err.Error()
	}
	defer r.Body.Close()
	b, _ := io.ReadAll(r.Body)
	return string(b)
}

// wantStat waits for a statistic to have a value.
func (p *proxy) wantStat(name, value string) {
	p.t.Helper()
	p.until(name+" is "+value, func() bool {
		return strings.Contains("\n"+p.page("/stats?filter=^"+name+"$"), "\n"+name+": "+value+"\n")
	})
}

// count is a statistic's value now, 0 when there is none.
func (p *proxy) count(name string) (n int) {
	_, value, _ := strings.Cut("\n"+p.page("/stats?filter=^"+name+"$"), "\n"+name+": ")
	fmt.Sscan(value, &n)
	return n
}

// listener is the address of the only listener, once it is there.
func (p *proxy) listener() (addr string) {
	p.t.Helper()
	p.until("a listener", func() bool {
		_, rest, ok := strings.Cut(p.page("/listeners"), "::")
		addr = strings.TrimSpace(rest)
		return ok
	})
	return addr
}
