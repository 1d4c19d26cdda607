//go:build kubernetes

package kubernetes

import (
	"fmt"
	"io"
	"math"
	"net/http"
	"testing"
	"time"
)

// load is what the clients in the shop have to say: one asks by HTTP, which the
// mesh routes, one by a port whose connections are passed on. Both find the
// Service by its name.
type load struct {
	ok, failed, lost int // lost: failed after they were connected
	least            int // of the ok, those of the slower client
	last             string
}

func (n *node) load() (sum load, err error) {
	ip, err := n.kubectl("-n", "shop", "get", "pods", "-l", "app=client", "-o", "jsonpath={.items[0].status.podIP}")
	if err != nil {
		return sum, err
	}
	sum.least = math.MaxInt
	for _, port := range []string{"9000", "9001"} {
		text, err := get("http://" + ip + ":" + port + "/")
		if err != nil {
			return sum, err
		}
		var ok, failed, lost int
		if _, err := fmt.Sscan(text, &ok, &failed, &lost); err != nil {
			return sum, err
		}
		sum.ok, sum.failed, sum.lost = sum.ok+ok, sum.failed+failed, sum.lost+lost
		sum.least = min(sum.least, ok)
		sum.last += text
	}
	return sum, nil
}

// oneByOne makes a connection for each request.
var oneByOne = &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

func get(url string) (string, error) {
	resp, err := oneByOne.Get(url)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", url, resp.Status)
	}
	return string(text), err
}

// clientsAreServed waits until both clients are, without a failure for a second.
// At first they ask a DNS server that kube-proxy may not lead to yet.
func (n *node) clientsAreServed() {
	n.t.Helper()
	n.eventually(time.Minute, "the clients are served", func() error {
		before, err := n.load()
		if err != nil {
			return err
		}
		time.Sleep(time.Second)
		after, err := n.load()
		if err == nil && (after.failed > before.failed || after.least-before.least < 50) {
			err = fmt.Errorf("%d more requests of the slower client in a second, %d failed, the last: %s", after.least-before.least, after.failed-before.failed, after.last)
		}
		return err
	})
}

// underLoad does something and fails the test if any request failed meanwhile
// and for a second after, or if there were none.
func (n *node) underLoad(t *testing.T, do func()) {
	t.Helper()
	before, err := n.load()
	if err != nil {
		t.Fatal(err)
	}
	do()
	time.Sleep(time.Second) // what breaks a little later
	var after load
	n.eventually(time.Minute, "the clients answer", func() (err error) {
		after, err = n.load()
		return err
	})
	failed := after.failed - before.failed
	if unconnected := failed - (after.lost - before.lost); failed > 0 {
		t.Errorf("%d of %d requests failed, of these %d to connect; the last: %s", failed, after.ok-before.ok, unconnected, after.last)
	}
	if after.ok-before.ok < 100 {
		t.Errorf("only %d requests were made", after.ok-before.ok)
	}
	t.Logf("%d requests, %d failed", after.ok-before.ok, failed)
}
