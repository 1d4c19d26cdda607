package agent

import (
	"maps"
	"net/netip"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weirproxy/weir/agent/pods"
)

// Status is what `weir agent status` shows.
type Status struct {
	PID int `json:"pid"`
	// Proxies are the PIDs of those connected.
	Proxies []int `json:"proxies"`
	// SinceHeartbeat is in seconds; absent when no proxy has beaten.
	SinceHeartbeat *float64          `json:"since_heartbeat_s,omitempty"`
	MaxSilence     float64           `json:"max_silence_s"`
	BPFDir         string            `json:"bpf_dir"`
	Pods           []PodStatus       `json:"pods"`
	Services       []pods.Service    `json:"services,omitempty"` // balanced at connect
	Peers          int               `json:"peers,omitempty"`    // pods that are not managed but known to the proxies
	Counters       map[string]uint64 `json:"counters"`
}

// PodStatus is a wanted pod.
type PodStatus struct {
	ID        uint32       `json:"id,omitempty"`
	Name      string       `json:"name"`
	Namespace string       `json:"namespace"`
	Netns     string       `json:"netns"`
	Cookie    uint64       `json:"netns_cookie,omitempty"`
	Addresses []netip.Addr `json:"addresses"`
	Mode      pods.Mode    `json:"mode"`
	Policy    pods.Policy  `json:"policy"`
	External  bool         `json:"external,omitempty"` // it has a proxy of its own
	DNS       bool         `json:"dns,omitempty"`      // what it asks of DNS servers is caught
	// KeepClientAddress: its program sees its clients' addresses.
	KeepClientAddress bool `json:"keep_client_address,omitempty"`
	// What is left alone; of outbound connections also what all pods exclude.
	ExcludeInboundPorts []uint16 `json:"exclude_inbound_ports,omitempty"`
	pods.Exclusions
	Source string `json:"source"` // config, added, or a source's name (kubernetes)
	// State is caught, waiting (for a proxy to return its sockets) or failed.
	State string `json:"state"`
	Error string `json:"error,omitempty"`
}

// Status tells how things are now.
func (a *Agent) Status() (Status, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := Status{
		PID: os.Getpid(), Proxies: a.server.Proxies(), MaxSilence: a.opts.MaxSilence.Seconds(), BPFDir: a.opts.BPFDir,
		Pods: []PodStatus{}, Services: a.balanced, Peers: a.server.Peers(),
	}
	beat, err := a.redirect.LastBeat()
	if err != nil {
		return s, err
	}
	if beat != 0 {
		since := (monotonic() - time.Duration(beat)).Seconds()
		s.SinceHeartbeat = &since
	}
	if s.Counters, err = a.redirect.Counters(); err != nil {
		return s, err
	}
	want := a.wanted()
	for _, key := range slices.Sorted(maps.Keys(want)) {
		s.Pods = append(s.Pods, a.podStatus(want[key]))
	}
	return s, nil
}

func (a *Agent) podStatus(spec pods.Spec) PodStatus {
	key := spec.Key()
	s := PodStatus{
		Name: spec.Name, Namespace: spec.Namespace, Netns: spec.Netns, Addresses: spec.Addresses,
		ExcludeInboundPorts: spec.ExcludeInboundPorts, Exclusions: spec.Exclusions.With(a.opts.Exclude), KeepClientAddress: spec.KeepClientAddress,
		Mode: spec.Mode, Policy: spec.Policy, External: spec.External(), Source: a.sourceOf(key), State: "failed", Error: a.failed[key],
	}
	if p := a.managed[key]; p != nil {
		s.ID, s.Cookie, s.Netns, s.Addresses, s.State = p.id, p.cookie, p.ns.Path(), p.addresses, "caught"
		s.DNS = p.dns
		if !p.isComplete() {
			s.State = "waiting"
		}
	}
	return s
}

// monotonic is CLOCK_MONOTONIC, the clock of heartbeats and flows.
func monotonic() time.Duration {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return 0 // every Linux has this clock
	}
	return time.Duration(now.Nano())
}

// sourceOf is where the wish for a pod came from; see [Agent.wanted].
func (a *Agent) sourceOf(key string) string {
	for _, s := range a.static {
		if s.Key() == key {
			return "config"
		}
	}
	if _, ok := a.added[key]; ok {
		return "added"
	}
	for name, specs := range a.sourced {
		for _, s := range specs {
			if s.Key() == key {
				return name
			}
		}
	}
	return ""
}
