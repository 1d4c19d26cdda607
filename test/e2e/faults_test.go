//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weirproxy/weir/agent/pods"
)

// The proxy is killed 20 times under load. What it had under way is lost, one
// request a client and time at most; nothing is refused, and what connects
// while there is no proxy waits for the next one.
func TestProxyKilledUnderLoad(t *testing.T) {
	modes(t, func(t *testing.T, mode func(*pods.Spec)) {
		n := newNode(t)
		n.start()
		n.killUnderLoad(mode)
	})
}

// Likewise if the proxy waits for the client to speak first: then a request is
// with the proxy only while it is under way, and few are lost.
func TestProxyOfSpeakingClientsKilledUnderLoad(t *testing.T) {
	modes(t, func(t *testing.T, mode func(*pods.Spec)) {
		n := newNode(t)
		n.clientFirst = true
		n.start()
		n.killUnderLoad(mode)
	})
}

func (n *node) killUnderLoad(mode func(*pods.Spec)) {
	n.t.Helper()
	n.manage(n.client, mode)
	kills := 20
	if testing.Short() {
		kills = 5
	}
	l := n.startClients()
	for range kills {
		l.more(40)
		n.Proxy.Kill()
		n.startProxy()
	}
	l.more(40)
	l.stop()
	if lost, most := len(l.failed), kills*kinds*eachKind; lost > most {
		n.t.Errorf("%d requests lost in %d kills, want at most %d", lost, kills, most)
	}
}

// A client that is connected but has said nothing does not notice that the
// proxy is killed.
func TestSilentClientOutlivesProxy(t *testing.T) {
	modes(t, func(t *testing.T, mode func(*pods.Spec)) {
		n := newNode(t)
		n.clientFirst = true
		n.start()
		n.manage(n.client, mode)
		n.wantCurl(n.client, "http://"+service4+"/", fmt.Sprintf("hello %s", n.client.IPv4)) // the proxy has taken the pod's socket
		c, err := n.client.Dial(t.Context(), "tcp", service4+":80")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		n.Proxy.Kill()
		n.startProxy()
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: "+service4+"\r\nConnection: close\r\n\r\n")
		c.SetReadDeadline(time.Now().Add(patience))
		if answer, err := io.ReadAll(c); !strings.HasPrefix(string(answer), "HTTP/1.1 200 ") {
			t.Errorf("%q, %v", answer, err)
		}
	})
}

// clients are a pod's programs: of those that ask by HTTP, which the proxy
// routes, and of those by a port whose connections it passes on, two keep their
// connections and two make a new one for each request.
type clients struct {
	n      *node
	cancel context.CancelFunc
	done   sync.WaitGroup
	mu     sync.Mutex
	count  int
	failed []string
	// refused are connections that were not made, which must not happen.
	refused []string
}

const eachKind, kinds = 2, 4

func (n *node) startClients() *clients {
	l := &clients{n: n}
	ctx, cancel := context.WithCancel(n.t.Context())
	l.cancel = cancel
	n.t.Cleanup(func() { cancel(); l.done.Wait() })
	for range eachKind {
		for _, keep := range []bool{false, true} {
			l.done.Go(func() { l.repeat(ctx, keep, "http://"+service4+"/") })
			l.done.Go(func() { l.repeat(ctx, keep, fmt.Sprintf("http://%s:81/", n.server.IPv4)) })
		}
	}
	return l
}

func (l *clients) repeat(ctx context.Context, keep bool, url string) {
	transport := &http.Transport{DisableKeepAlives: !keep, DialContext: func(_ context.Context, network, addr string) (net.Conn, error) {
		c, err := l.n.client.Dial(context.Background(), network, addr)
		if err != nil {
			l.note(&l.refused, err)
		}
		return c, err
	}}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: patience}
	for ctx.Err() == nil {
		if err := l.ask(client, url); err != nil {
			l.note(&l.failed, err)
		}
		l.mu.Lock()
		l.count++
		l.mu.Unlock()
	}
}

func (l *clients) ask(client *http.Client, url string) error {
	resp, err := client.Get(url)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil && !strings.HasPrefix(string(text), "hello ") {
		err = errors.New(string(text))
	}
	return err
}

func (l *clients) note(where *[]string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	*where = append(*where, err.Error())
}

// more waits for n more answers.
func (l *clients) more(n int) {
	l.n.t.Helper()
	seen := func() int {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.count
	}
	want := seen() + n
	l.n.eventually("more answers", func() bool { return seen() >= want })
}

// stop ends the clients.
func (l *clients) stop() {
	l.n.t.Helper()
	l.cancel()
	l.done.Wait()
	l.n.t.Logf("%d requests, of which %d were lost: %q", l.count, len(l.failed), l.failed[:min(len(l.failed), 3)])
	if len(l.refused) > 0 {
		l.n.t.Errorf("%d connections were not made: %q", len(l.refused), slices.Compact(l.refused))
	}
}
