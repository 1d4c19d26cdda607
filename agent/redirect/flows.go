package redirect

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/ringbuf"
	"golang.org/x/sys/unix"

	"github.com/weirproxy/weir/bpf"
)

// Flow is one decision about a connection.
type Flow struct {
	Monotonic time.Duration // CLOCK_MONOTONIC
	PodID     uint32
	Verdict   string // one of Verdicts
	// Destination is where the connection was going.
	Destination netip.AddrPort
	// Client is the remote address of an inbound connection.
	Client netip.Addr
	// Endpoint is where a balanced connection was sent.
	Endpoint netip.Addr
	// PID and Command are the connecting process of an outbound one.
	PID     uint32
	Command string
}

// IsCaught reports whether the proxy got the connection.
func (f Flow) IsCaught() bool {
	return f.Verdict == "marked" || f.Verdict == "rewritten" || f.Verdict == "inbound"
}

var verdictNames = map[bpf.WeirFlowVerdict]string{
	bpf.WeirFlowVerdictFLOW_MARKED:     "marked",
	bpf.WeirFlowVerdictFLOW_REWRITTEN:  "rewritten",
	bpf.WeirFlowVerdictFLOW_INBOUND:    "inbound",
	bpf.WeirFlowVerdictFLOW_LEFT_ALONE: "left alone",
	bpf.WeirFlowVerdictFLOW_DENIED:     "denied",
	bpf.WeirFlowVerdictFLOW_BALANCED:   "balanced",
	bpf.WeirFlowVerdictFLOW_DNS:        "dns",
}

// Verdicts are what may become of a connection.
func Verdicts() []string { return slices.Sorted(maps.Values(verdictNames)) }

// ErrObserved says that somebody else reads the flows.
var ErrObserved = errors.New("somebody observes already, and only one can at a time")

// FlowReader reads flows as they happen. There can be one reader at a time:
// two would each see some of them.
type FlowReader struct {
	lock     *os.File // of the directory
	settings *ebpf.Map
	ring     *ringbuf.Reader
}

// Observe turns the flow events of an agent on, whose maps are pinned in dir,
// and returns their reader; [ErrObserved] if there is one.
func Observe(dir string) (*FlowReader, error) {
	lock, err := os.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("no agent has its maps in %s: %w", dir, err)
	}
	f := &FlowReader{lock: lock}
	if err := f.begin(dir); err != nil {
		return nil, errors.Join(err, f.close())
	}
	return f, nil
}

func (f *FlowReader) begin(dir string) error {
	err := unix.Flock(int(f.lock.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return ErrObserved
	}
	if err != nil {
		return fmt.Errorf("lock %s: %w", dir, err)
	}
	if f.settings, err = ebpf.LoadPinnedMap(filepath.Join(dir, bpf.WeirMapWeirSettings), nil); err != nil {
		return fmt.Errorf("no agent has its maps in %s: %w", dir, err)
	}
	flows, err := ebpf.LoadPinnedMap(filepath.Join(dir, bpf.WeirMapWeirFlows), nil)
	if err != nil {
		return err
	}
	defer flows.Close() // the reader has its own
	if f.ring, err = ringbuf.NewReader(flows); err != nil {
		return fmt.Errorf("weir_flows: %w", err)
	}
	return f.turn(1)
}

func (f *FlowReader) turn(on uint32) error {
	return changeSettings(f.settings, func(s *bpf.WeirSettings) { s.Flows = on })
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

// Close turns the events off. A Next that waits returns.
func (f *FlowReader) Close() error { return errors.Join(f.turn(0), f.close()) }

func (f *FlowReader) close() error {
	var errs []error
	if f.ring != nil {
		errs = append(errs, f.ring.Close())
	}
	if f.settings != nil {
		errs = append(errs, f.settings.Close())
	}
	return errors.Join(append(errs, f.lock.Close())...)
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
	if raw.Verdict == bpf.WeirFlowVerdictFLOW_BALANCED {
		flow.Endpoint = netip.AddrFrom16(raw.RemoteAddr).Unmap()
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
