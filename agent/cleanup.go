package agent

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/weirproxy/weir/agent/netns"
	"github.com/weirproxy/weir/agent/redirect"
	"github.com/weirproxy/weir/agent/run"
)

// Cleanup removes all that agents left on the machine, however they ended:
// programs, links, maps, the pods' rules and routes, state and sockets; and
// the cgroups of runs (package run) that were killed. It reports what it removed. Connections that are caught now will break.
func Cleanup(ctx context.Context, o Options) (removed []string, err error) {
	if _, err := NewClient(o).Status(ctx); err == nil {
		return nil, fmt.Errorf("an agent is running (it answers on %s): stop it first", o.controlSocket())
	}
	s, err := readState(o.stateFile())
	if err != nil {
		return nil, err
	}
	removed, err = redirect.Cleanup(o.BPFDir) // first: nothing is caught from here on
	for key, p := range s.Pods {
		lines, e := cleanNetns(p)
		for _, line := range lines {
			removed = append(removed, line+" of pod "+key)
		}
		err = errors.Join(err, e)
	}
	swept, e := run.Sweep()
	removed, err = append(removed, swept...), errors.Join(err, e)
	for _, path := range []string{o.stateFile(), o.controlSocket(), o.proxySocket()} {
		switch e := os.Remove(path); {
		case e == nil:
			removed = append(removed, path)
		case !errors.Is(e, os.ErrNotExist):
			err = errors.Join(err, e)
		}
	}
	return removed, err
}

// cleanNetns removes rules and routes, if the namespace is still the pod's.
func cleanNetns(saved savedPod) ([]string, error) {
	ns, err := netns.Open(saved.Netns)
	if err != nil {
		return nil, nil // gone, and they with it
	}
	defer ns.Close()
	if cookie, err := redirect.NetnsCookie(ns); err != nil || cookie != saved.Cookie {
		return nil, err
	}
	removed, err := ns.RemoveMarkRoute(netns.MarkRoute{Mark: routeMark, Table: routeTable, Priority: routePriority})
	aliases, e := ns.RemoveLocalRoute(redirect.DNSAliases6)
	removed, err = append(removed, aliases...), errors.Join(err, e)
	if saved.KeepsClient {
		err = errors.Join(err, ns.AcceptMarks(false))
		removed = append(removed, "sysctl net.ipv4.tcp_fwmark_accept=1")
	}
	return removed, err
}
