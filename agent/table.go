package agent

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/weirproxy/weir/agent/redirect"
)

// WriteTable writes the status for people.
func (s *Status) WriteTable(w io.Writer) error {
	fmt.Fprintf(w, "agent %d · proxies %s · heartbeat %s · maps %s", s.PID, s.proxies(), s.heartbeat(), s.BPFDir)
	if s.Peers > 0 {
		fmt.Fprintf(w, " · %d pods elsewhere", s.Peers)
	}
	fmt.Fprint(w, "\n\n")
	if err := WritePods(w, s.Pods); err != nil {
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if len(s.Services) > 0 {
		fmt.Fprintln(t, "\nSERVICE\tADDRESS\tENDPOINTS")
	}
	for _, service := range s.Services {
		fmt.Fprintf(t, "%s\t%s\t%s\n", orDash(service.Name), service.Address, strings.Trim(fmt.Sprint(service.Endpoints), "[]"))
	}
	fmt.Fprintln(t)
	for _, name := range slices.Sorted(maps.Keys(s.Counters)) {
		fmt.Fprintf(t, "%s\t%d\n", name, s.Counters[name])
	}
	return t.Flush()
}

// WritePods writes the pods for people.
func WritePods(w io.Writer, pods []PodStatus) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "ID\tPOD\tADDRESSES\tMODE\tPOLICY\tEXCLUDED\tSOURCE\tSTATE\tNETNS")
	for _, p := range pods {
		state := p.State
		if p.Error != "" {
			state += " (" + strings.ReplaceAll(p.Error, "\n", "; ") + ")"
		}
		fmt.Fprintf(t, "%d\t%s/%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n",
			p.ID, p.Namespace, p.Name, strings.Trim(fmt.Sprint(p.Addresses), "[]"), p.modes(), p.Policy, p.excluded(), p.Source, state, p.Netns)
	}
	return t.Flush()
}

// excluded is what is left alone, in words.
func (p *PodStatus) excluded() string {
	var words []string
	add := func(what string, n int, values any) {
		if n > 0 {
			words = append(words, what+" "+strings.ReplaceAll(strings.Trim(fmt.Sprint(values), "[]"), " ", ","))
		}
	}
	add("in", len(p.ExcludeInboundPorts), p.ExcludeInboundPorts)
	add("to", len(p.CIDRs), p.CIDRs)
	add("port", len(p.Ports), p.Ports)
	add("uid", len(p.UIDs), p.UIDs)
	return orDash(strings.Join(words, " "))
}

// modes is all that is caught besides what always is.
func (p *PodStatus) modes() string {
	modes := string(p.Mode)
	if p.DNS {
		modes += ", dns"
	}
	if p.KeepClientAddress {
		modes += ", clients"
	}
	return modes
}

func (s *Status) proxies() string {
	if len(s.Proxies) == 0 {
		return "none"
	}
	return strings.Trim(fmt.Sprint(s.Proxies), "[]")
}

func (s *Status) heartbeat() string {
	if s.SinceHeartbeat == nil {
		return "never"
	}
	text := fmt.Sprintf("%.1f s ago", *s.SinceHeartbeat)
	if s.MaxSilence > 0 && *s.SinceHeartbeat > s.MaxSilence {
		text += " (silent: the pods' policy decides)"
	}
	return text
}

// WriteFeatures writes what [redirect.Check] found for people.
func WriteFeatures(w io.Writer, features []redirect.Feature) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "FEATURE\tFOR\tLINUX\tHERE")
	for _, f := range features {
		here := "yes"
		if f.Error != "" {
			here = "no: " + f.Error
			if f.Optional {
				here = "no (it is optional): " + f.Error
			}
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", f.Name, f.For, f.Kernel, here)
	}
	return t.Flush()
}

// Missing is an error that names the features that are not there; nil if all
// are.
func Missing(features []redirect.Feature) error {
	var names []string
	for _, f := range features {
		if f.Error != "" && !f.Optional {
			names = append(names, fmt.Sprintf("%s (Linux %s, for %s)", f.Name, f.Kernel, f.For))
		}
	}
	if names == nil {
		return nil
	}
	return fmt.Errorf("missing: %s", strings.Join(names, ", "))
}
