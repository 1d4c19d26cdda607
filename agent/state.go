package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/weirproxy/weir/agent/pods"
)

// state is what an agent leaves for the next one, and for Cleanup. It lies in
// the run directory and so is gone after a reboot, as the pods are.
type state struct {
	Pods  map[string]savedPod  `json:"pods"`
	Added map[string]pods.Spec `json:"added"`
	// Sourced is what each source wanted last: a restarted agent goes by it
	// until the source knows again.
	Sourced map[string][]pods.Spec `json:"sourced,omitempty"`
}

type savedPod struct {
	Cookie uint64 `json:"netns_cookie"`
	Netns  string `json:"netns"`
	// KeepsClient: a sysctl of the namespace was changed for it.
	KeepsClient bool `json:"keeps_client,omitempty"`
}

func (p *pod) saved() savedPod {
	return savedPod{Cookie: p.cookie, Netns: p.ns.Path(), KeepsClient: p.spec.KeepClientAddress}
}

func readState(path string) (state, error) {
	var s state
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal(text, &s); err != nil {
		return s, fmt.Errorf("%s: %w (remove it, and add the pods again)", path, err)
	}
	return s, nil
}

// saveState replaces the file whole; starting are pods that are about to be
// caught. The agent goes on without it.
func (a *Agent) saveState(starting ...*pod) {
	if err := a.writeState(starting); err != nil {
		a.log.Error("state is not saved; a restarted agent will not know the pods that were added", "error", err)
	}
}

func (a *Agent) writeState(starting []*pod) error {
	s := state{Pods: map[string]savedPod{}, Added: a.added, Sourced: a.sourced}
	for key, p := range a.managed {
		s.Pods[key] = p.saved()
	}
	for _, p := range starting {
		s.Pods[p.spec.Key()] = p.saved()
	}
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	tmp := a.opts.stateFile() + ".new"
	if err := os.WriteFile(tmp, text, 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, a.opts.stateFile())
}
