package redirect

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"time"
	"unsafe"

	"github.com/cilium/ebpf/ringbuf"

	"github.com/weirproxy/weir/bpf"
)

// Flow is one decision about a connection.
type Flow struct {
	Monotonic time.Duration // CLOCK_MONOTONIC
	PodID     uint32
	Verdict   string // marked, rewritten, inbound, left alone, denied
	// Destination is where the connection was going.
	Destination netip.AddrPort
	// Client is the remote address of an inbound connection.
	Client netip.Addr
	// PID and Command are the connecting process of an outbound one.
	PID     uint32
	Command string
}

var verdictNames = map[bpf.WeirFlowVerdict]string{
	bpf.WeirFlowVerdictFLOW_MARKED:     "marked",
	bpf.WeirFlowVerdictFLOW_REWRITTEN:  "rewritten",
	bpf.WeirFlowVerdictFLOW_INBOUND:    "inbound",
	bpf.WeirFlowVerdictFLOW_LEFT_ALONE: "left alone",
	bpf.WeirFlowVerdictFLOW_DENIED:     "denied",
}

// FlowReader reads flows as they happen. There can be one reader at a time.
type FlowReader struct {
	r    *Redirect
	ring *ringbuf.Reader
}

// Flows turns the events on and returns their reader.
func (r *Redirect) Flows() (*FlowReader, error) {
	ring, err := ringbuf.NewReader(r.objects.WeirFlows)
	if err != nil {
		return nil, fmt.Errorf("weir_flows: %w", err)
	}
	if err := r.changeSettings(func(s *bpf.WeirSettings) { s.Flows = 1 }); err != nil {
		ring.Close()
		return nil, err
	}
	return &FlowReader{r, ring}, nil
}

// Next waits for a flow; [os.ErrClosed] after Close.
func (f *FlowReader) Next() (Flow, error) {
	rec, err := f.ring.Read()
	if errors.Is(err, ringbuf.ErrClosed) {
		return Flow{}, os.ErrClosed
	}
	if err != nil {
		return Flow{}, fmt.Errorf("weir_flows: %w", err)
	}
	return parseFlow(rec.RawSample)
}

// Close turns the events off.
func (f *FlowReader) Close() error {
	return errors.Join(f.r.changeSettings(func(s *bpf.WeirSettings) { s.Flows = 0 }), f.ring.Close())
}

func parseFlow(sample []byte) (Flow, error) {
	var raw bpf.WeirFlow
	if len(sample) < int(unsafe.Sizeof(raw)) {
		return Flow{}, fmt.Errorf("weir_flows: an event of %d bytes, not %d", len(sample), unsafe.Sizeof(raw))
	}
	if err := binary.Read(bytes.NewReader(sample), binary.NativeEndian, &raw); err != nil {
		return Flow{}, fmt.Errorf("weir_flows: %w", err)
	}
	flow := Flow{
		Monotonic:   time.Duration(raw.TimeNs),
		PodID:       raw.PodId,
		Verdict:     verdictNames[raw.Verdict],
		Destination: netip.AddrPortFrom(netip.AddrFrom16(raw.Addr).Unmap(), raw.Port),
		PID:         raw.Pid,
		Command:     comm(raw.Comm),
	}
	if raw.Verdict == bpf.WeirFlowVerdictFLOW_INBOUND {
		flow.Client = netip.AddrFrom16(raw.RemoteAddr).Unmap()
	}
	return flow, nil
}

func comm(raw [16]int8) string {
	var b strings.Builder
	for _, c := range raw {
		if c == 0 {
			break
		}
		b.WriteByte(byte(c))
	}
	return b.String()
}
