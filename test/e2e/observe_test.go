//go:build e2e

package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/weirproxy/weir/agent"
)

// What is open and what closes is shown with its cluster and its bytes.
func TestObserveBytes(t *testing.T) {
	n := newNode(t)
	n.start()
	n.manage(n.client, nil)
	n.manage(n.server, nil)
	follow := n.Command(t.Context(), append([]string{"observe", "--follow", "-o", "json", "--pod", "client", "--service", "web"}, n.AgentArgs()...)...)
	stdout, err := follow.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := follow.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { follow.Process.Kill(); follow.Wait() }()

	c, err := n.client.Dial(t.Context(), "tcp", service4+":80")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	request := "GET / HTTP/1.1\r\nHost: " + service4 + "\r\n\r\n"
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(c).ReadString('\n'); err != nil || !strings.HasPrefix(line, "HTTP/1.1 200") {
		t.Fatalf("%q, %v", line, err)
	}
	all, err := n.Client().Connections(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	byVerdict := map[string]agent.Event{}
	for _, e := range all {
		byVerdict[e.Verdict] = e
	}
	out := byVerdict["marked"]
	if out.Pod != "default/client" || out.Service != "web" || out.Destination.String() != service4+":80" || out.State != agent.StateOpen ||
		out.Traffic == nil || out.Traffic.Received != uint64(len(request)) || out.Traffic.Sent == 0 {
		t.Errorf("of %+v: %+v %+v", all, out, out.Traffic)
	}
	in := byVerdict["inbound"]
	if in.Pod != "default/server" || in.Service != "original_dst" || in.Peer != "default/client" || in.Client != n.client.IPv4.String() {
		t.Errorf("of %+v: %+v", all, in)
	}
	table, err := n.Command(t.Context(), append([]string{"observe", "--to", service4}, n.AgentArgs()...)...).CombinedOutput()
	if err != nil || !strings.Contains(string(table), "default/client") || strings.Contains(string(table), "default/server") {
		t.Errorf("%v\n%s", err, table)
	}

	c.Close()
	// The follower may have begun after that connection: more come until it is told.
	told := make(chan agent.Event, 1)
	go func() {
		var e agent.Event
		if err := json.NewDecoder(stdout).Decode(&e); err == nil {
			told <- e
		}
	}()
	n.eventually("a connection that closes is told", func() bool {
		n.curl(n.client, "http://"+service4+"/")
		return len(told) > 0
	})
	if e := <-told; e.State != agent.StateClosed || e.Service != "web" || e.Traffic == nil || e.Traffic.Received == 0 {
		t.Errorf("%+v %+v", e, e.Traffic)
	}
	for args, want := range map[string]string{"--follow": "somebody observes already", "--verdict=lost": "there are balanced, denied"} {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		out, err := n.Command(ctx, append([]string{"observe", args}, n.AgentArgs()...)...).CombinedOutput()
		cancel()
		if err == nil || !strings.Contains(string(out), want) {
			t.Errorf("%s: %v: %s", args, err, out)
		}
	}
}
