package redirect

import (
	"fmt"
	"time"

	"github.com/cilium/ebpf"

	"github.com/weirproxy/weir/bpf"
)

// SetMaxSilence is how long the proxy may go without a heartbeat before each
// pod's policy decides; 0: for ever. Millisecond resolution.
func (r *Redirect) SetMaxSilence(d time.Duration) error {
	return changeSettings(r.objects.WeirSettings, func(s *bpf.WeirSettings) { s.MaxSilenceMs = uint32(d.Milliseconds()) })
}

// SetBypass catches nothing, of any pod, while on.
func (r *Redirect) SetBypass(on bool) error {
	return changeSettings(r.objects.WeirSettings, func(s *bpf.WeirSettings) { s.Bypass = number[uint32](on) })
}

// LastBeat is the proxy's last heartbeat, in CLOCK_MONOTONIC nanoseconds; 0:
// it has never beaten.
func (r *Redirect) LastBeat() (uint64, error) {
	var ns uint64
	if err := r.objects.WeirHeartbeat.Lookup(uint32(0), &ns); err != nil {
		return 0, fmt.Errorf("weir_heartbeat: %w", err)
	}
	return ns, nil
}

func changeSettings(m *ebpf.Map, change func(*bpf.WeirSettings)) error {
	var s bpf.WeirSettings
	if err := m.Lookup(uint32(0), &s); err != nil {
		return fmt.Errorf("weir_settings: %w", err)
	}
	change(&s)
	if err := m.Put(uint32(0), s); err != nil {
		return fmt.Errorf("weir_settings: %w", err)
	}
	return nil
}

// number is how C keeps a bool.
func number[T uint8 | uint32](on bool) T {
	if on {
		return 1
	}
	return 0
}
