package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/weirproxy/weir/agent/pods"
	"github.com/weirproxy/weir/agent/redirect"
)

// Observe writes the connections of a running agent that pass the filter, as
// text (format table) or a JSON object a line (json), as they open and close,
// until ctx is done. What opens the kernel tells, what closes the proxies.
func Observe(ctx context.Context, o Options, f Filter, format string, w io.Writer) error {
	show, err := eventWriter(format, w)
	if err := errors.Join(err, f.check()); err != nil {
		return err
	}
	flows, err := redirect.Observe(o.BPFDir)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(ctx, func() { flows.Close() })
	defer func() {
		cancel()
		if stop() {
			flows.Close()
		}
	}()
	if format == "table" { // tells, too, that from here on nothing is missed
		fmt.Fprintln(w, header)
	}
	events := make(chan Event)
	failed := make(chan error, 1)
	go func() { failed <- readFlows(ctx, o, flows, events) }()
	go readClosed(ctx, o, events)
	var order inOrder
	for {
		select {
		case err := <-failed:
			for _, e := range order.held {
				err = errors.Join(err, show(e))
			}
			return err
		case e := <-events:
			if f.passes(e) {
				order.add(e)
			}
		case <-order.next(time.Now()):
		}
		for _, e := range order.settled(time.Now()) {
			if err := show(e); err != nil {
				return err
			}
		}
	}
}

// readFlows tells of what the programs decide, until the flows are closed.
func readFlows(ctx context.Context, o Options, flows *redirect.FlowReader, events chan<- Event) error {
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
		if flow.IsCaught() {
			e.State = StateOpened
		}
		if flow.Endpoint.IsValid() {
			e.Service = "endpoint " + flow.Endpoint.String()
		}
		if flow.Client.IsValid() {
			e.Client = flow.Client.String()
		}
		select {
		case events <- e:
		case <-ctx.Done():
			return nil
		}
	}
}

// askAgain is how long after an agent's end another is asked.
const askAgain = 500 * time.Millisecond

// readClosed tells of what the proxies say has ended, of one agent after the
// other.
func readClosed(ctx context.Context, o Options, events chan<- Event) {
	client := NewClient(o)
	for ctx.Err() == nil {
		// An agent that is gone, or too old, tells nothing.
		_ = client.Closed(ctx, func(e Event) {
			select {
			case events <- e:
			case <-ctx.Done():
			}
		})
		select {
		case <-ctx.Done():
		case <-time.After(askAgain):
		}
	}
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

// List writes the connections of a running agent that live now and pass the
// filter, in one of Observe's formats.
func List(ctx context.Context, o Options, f Filter, format string, w io.Writer) error {
	show, err := eventWriter(format, w)
	if err := errors.Join(err, f.check()); err != nil {
		return err
	}
	all, err := NewClient(o).Connections(ctx)
	if err != nil {
		return err
	}
	all = f.pass(all)
	if format == "table" {
		return WriteConnections(w, all)
	}
	for _, e := range all {
		if err := show(e); err != nil {
			return err
		}
	}
	return nil
}
