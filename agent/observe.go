package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/weirproxy/weir/agent/pods"
	"github.com/weirproxy/weir/agent/redirect"
)

// Event is a flow as `weir observe` shows it.
type Event struct {
	Time        time.Time      `json:"time"`
	Pod         string         `json:"pod"` // NAMESPACE/NAME, or its ID if no agent knows it
	Verdict     string         `json:"verdict"`
	Destination netip.AddrPort `json:"destination"`
	Client      string         `json:"client,omitempty"`  // of an inbound connection
	PID         uint32         `json:"pid,omitempty"`     // of an outbound one
	Command     string         `json:"command,omitempty"` // of an outbound one
}

// Filter says which events are shown; what is empty lets all pass.
type Filter struct {
	Pod     string // NAME, or NAMESPACE/NAME
	Verdict string
}

func (f Filter) passes(e Event) bool {
	return (f.Pod == "" || f.Pod == e.Pod || strings.HasSuffix(e.Pod, "/"+f.Pod)) &&
		(f.Verdict == "" || f.Verdict == e.Verdict)
}

// Observe writes the flows of a running agent that pass the filter, as text
// (format table) or a JSON object a line (json), until ctx is done.
func Observe(ctx context.Context, o Options, f Filter, format string, w io.Writer) error {
	show, err := eventWriter(format, w)
	if err != nil {
		return err
	}
	flows, err := redirect.Observe(o.BPFDir)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { flows.Close() })
	defer func() {
		if stop() {
			flows.Close()
		}
	}()
	if format == "table" { // tells, too, that from here on nothing is missed
		fmt.Fprintln(w, header)
	}
	names := podNames{client: NewClient(o)}
	boot := time.Now().Add(-monotonic()) // the wall clock at CLOCK_MONOTONIC's zero
	for {
		flow, err := flows.Next()
		if errors.Is(err, os.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		e := Event{
			Time: boot.Add(flow.Monotonic), Pod: names.of(ctx, flow.PodID), Verdict: flow.Verdict,
			Destination: flow.Destination, PID: flow.PID, Command: flow.Command,
		}
		if flow.Client.IsValid() {
			e.Client = flow.Client.String()
		}
		if !f.passes(e) {
			continue
		}
		if err := show(e); err != nil {
			return err
		}
	}
}

func eventWriter(format string, w io.Writer) (func(Event) error, error) {
	switch format {
	case "table":
		return func(e Event) error {
			_, err := fmt.Fprintln(w, e)
			return err
		}, nil
	case "json":
		encoder := json.NewEncoder(w)
		return func(e Event) error { return encoder.Encode(e) }, nil
	}
	return nil, fmt.Errorf("-o %s: table and json are the formats", format)
}

const layout = "%-15s  %-20s  %-24s   %-28s %s"

var header = fmt.Sprintf(layout, "TIME", "POD", "FROM", "TO", "VERDICT")

// String is e on a line.
func (e Event) String() string {
	from := e.Client
	if from == "" {
		from = fmt.Sprintf("%s[%d]", e.Command, e.PID)
	}
	return fmt.Sprintf(layout, e.Time.Format("15:04:05.000000"), e.Pod, from, e.Destination, e.Verdict)
}

// podNames asks the agent for names that it has not seen.
type podNames struct {
	client *Client
	known  map[uint32]string
}

func (n *podNames) of(ctx context.Context, id uint32) string {
	if name, ok := n.known[id]; ok {
		return name
	}
	n.known = map[uint32]string{}
	if s, err := n.client.Status(ctx); err == nil {
		for _, p := range s.Pods {
			n.known[p.ID] = pods.Key(p.Namespace, p.Name)
		}
	}
	if n.known[id] == "" {
		n.known[id] = fmt.Sprintf("pod %d", id)
	}
	return n.known[id]
}
