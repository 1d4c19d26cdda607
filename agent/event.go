package agent

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/weirproxy/weir/agent/redirect"
)

// State is what an event says of its connection.
type State string

// The states. What was not caught has none.
const (
	StateOpened State = "opened" // just now
	StateOpen   State = "open"   // it lives
	StateClosed State = "closed" // just now
)

// Event is a connection as `weir observe` shows it.
type Event struct {
	Time    time.Time `json:"time"`
	Pod     string    `json:"pod"` // NAMESPACE/NAME, or its ID if no agent knows it
	Verdict string    `json:"verdict"`
	State   State     `json:"state,omitempty"`
	// Destination is where it was going before it was caught.
	Destination netip.AddrPort `json:"destination"`
	Name        string         `json:"name,omitempty"`    // what the pod called it, if its DNS is caught
	Service     string         `json:"service,omitempty"` // the cluster that it was sent to
	Peer        string         `json:"peer,omitempty"`    // the pod at the other end, if it is one of this node's
	Client      string         `json:"client,omitempty"`  // of an inbound connection
	PID         uint32         `json:"pid,omitempty"`     // of an outbound one
	Command     string         `json:"command,omitempty"` // of an outbound one
	Traffic     *Traffic       `json:"traffic,omitempty"` // of one that is open or closed
}

// Traffic is what a connection has carried.
type Traffic struct {
	Received uint64  `json:"received_bytes"` // from the client
	Sent     uint64  `json:"sent_bytes"`
	Seconds  float64 `json:"seconds"` // for how long it has lived, or did
}

// Filter says which events are shown; what is empty lets all pass.
type Filter struct {
	Pod     string // NAME, or NAMESPACE/NAME
	Verdict string
	Service string
	To      netip.Prefix // the destination's address
	Port    uint16       // the destination's
}

// check refuses what no event can pass.
func (f Filter) check() error {
	if all := redirect.Verdicts(); f.Verdict != "" && !slices.Contains(all, f.Verdict) {
		return fmt.Errorf("--verdict %s: there are %s", f.Verdict, strings.Join(all, ", "))
	}
	return nil
}

func (f Filter) passes(e Event) bool {
	return (f.Pod == "" || f.Pod == e.Pod || strings.HasSuffix(e.Pod, "/"+f.Pod)) &&
		(f.Verdict == "" || f.Verdict == e.Verdict) &&
		(f.Service == "" || f.Service == e.Service) &&
		(!f.To.IsValid() || f.To.Contains(e.Destination.Addr().Unmap())) &&
		(f.Port == 0 || f.Port == e.Destination.Port())
}

// pass are the events that do.
func (f Filter) pass(events []Event) []Event {
	out := make([]Event, 0, len(events))
	for _, e := range events {
		if f.passes(e) {
			out = append(out, e)
		}
	}
	return out
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

const layout = "%-15s  %-20s  %-24s   %-28s %-10s  %s"

var header = fmt.Sprintf(layout, "TIME", "POD", "FROM", "TO", "VERDICT", "SERVICE")

// String is e on a line.
func (e Event) String() string {
	line := fmt.Sprintf(layout, e.Time.Format("15:04:05.000000"), e.Pod, e.from(), e.to(), e.Verdict, orDash(e.Service))
	if t := e.Traffic; t != nil {
		line += fmt.Sprintf("  %s: %d B in, %d B out, %.3f s", e.State, t.Received, t.Sent, t.Seconds)
	}
	return strings.TrimRight(strings.TrimSuffix(line, "  -"), " ")
}

func (e Event) from() string {
	switch {
	case e.Client != "" && e.Peer != "":
		return e.Peer + " " + e.Client
	case e.Client != "":
		return e.Client
	case e.Command != "":
		return fmt.Sprintf("%s[%d]", e.Command, e.PID)
	}
	return "-"
}

// to is the destination, and what the pod called it.
func (e Event) to() string {
	if e.Name == "" {
		return e.Destination.String()
	}
	return e.Destination.String() + " " + e.Name
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// WriteConnections writes those that live for people.
func WriteConnections(w io.Writer, events []Event) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	slices.SortStableFunc(events, func(a, b Event) int {
		return cmp.Or(strings.Compare(a.Pod, b.Pod), a.Destination.Compare(b.Destination), a.Time.Compare(b.Time))
	})
	fmt.Fprintln(t, "POD\tVERDICT\tCLIENT\tDESTINATION\tPEER\tSERVICE\tRECEIVED\tSENT\tAGE")
	for _, e := range events {
		var traffic Traffic
		if e.Traffic != nil {
			traffic = *e.Traffic
		}
		age := time.Duration(traffic.Seconds * float64(time.Second)).Round(time.Millisecond)
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%d\t%d\t%s\n", e.Pod, e.Verdict, orDash(e.Client), e.to(),
			orDash(e.Peer), orDash(e.Service), traffic.Received, traffic.Sent, age)
	}
	return t.Flush()
}
