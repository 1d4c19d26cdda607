package agent

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/weirproxy/weir/agent/handoff"
	"github.com/weirproxy/weir/agent/pods"
)

// listTimeout is how long the proxies may take to list their connections.
const listTimeout = 3 * time.Second

// Connections are the pods' connections that live, as the proxies know them.
func (a *Agent) Connections(ctx context.Context) []Event {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	return a.describe(a.server.Connections(ctx), StateOpen)
}

// describe is connections as people see them.
func (a *Agent) describe(connections []handoff.Connection, state State) []Event {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	out := make([]Event, 0, len(connections))
	for _, c := range connections {
		e := Event{
			Time: now, State: state, Name: c.Name, Service: c.Service, Peer: c.Peer, Destination: c.Destination,
			Traffic: &Traffic{Received: c.Received, Sent: c.Sent, Seconds: c.Age},
		}
		if state == StateOpen {
			e.Time = now.Add(-time.Duration(c.Age * float64(time.Second)))
		}
		p := a.byID[c.Pod]
		if p == nil {
			continue // it went meanwhile
		}
		e.Pod = p.spec.Key()
		switch {
		case c.Direction == handoff.Inbound:
			e.Verdict = "inbound"
		case p.spec.Mode == pods.Rewrite:
			e.Verdict = "rewritten"
		default:
			e.Verdict = "marked"
		}
		if c.Direction == handoff.Inbound {
			e.Client = c.Client.Addr().Unmap().String()
		}
		out = append(out, e)
	}
	return out
}

// streamClosed writes each connection that ends, a line each, until the client
// hangs up.
func (a *Agent) streamClosed(w http.ResponseWriter, r *http.Request) {
	control := http.NewResponseController(w)
	if err := control.SetReadDeadline(time.Time{}); err != nil {
		reply(w, nil, http.StatusInternalServerError, err)
		return
	}
	watcher := a.server.Watch()
	defer a.server.Unwatch(watcher)
	w.Header().Set("Content-Type", "application/jsonl")
	w.WriteHeader(http.StatusOK)
	encoder := json.NewEncoder(w)
	for control.Flush() == nil {
		select {
		case <-r.Context().Done():
			return
		case closed := <-watcher.Closed:
			for _, e := range a.describe(closed, StateClosed) {
				if encoder.Encode(e) != nil {
					return
				}
			}
		}
	}
}

// Connections asks for those that live.
func (c *Client) Connections(ctx context.Context) ([]Event, error) {
	var all []Event
	return all, c.do(ctx, http.MethodGet, "/connections", nil, &all)
}

// Closed calls f for each connection that ends, until ctx is done or the
// agent ends.
func (c *Client) Closed(ctx context.Context, f func(Event)) error {
	resp, err := c.send(ctx, http.MethodGet, "/closed", nil, 0)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	for d := json.NewDecoder(resp.Body); ; {
		var e Event
		if err := d.Decode(&e); err != nil {
			return err
		}
		f(e)
	}
}
