package pods

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
)

// Exclusions are outbound connections that are left alone.
type Exclusions struct {
	// CIDRs are ranges of destinations.
	CIDRs []netip.Prefix `json:"exclude_outbound_cidrs,omitempty"`
	// Ports are destinations' ports.
	Ports []uint16 `json:"exclude_outbound_ports,omitempty"`
	// UIDs are the users whose processes connect, as the node sees them: with
	// a user namespace of its own a pod's user 0 is another.
	UIDs []uint32 `json:"exclude_uids,omitempty"`
}

// maxExclusions bounds each list: the kernel's maps are shared by all pods.
const maxExclusions = 256

func (e *Exclusions) check() error {
	var errs []error
	for i, c := range e.CIDRs {
		switch {
		case !c.IsValid() || c.Addr().Is4In6() || c.Addr().Zone() != "":
			errs = append(errs, fmt.Errorf("exclude_outbound_cidrs[%d]: %s is not a range of addresses", i, c))
		case c != c.Masked():
			errs = append(errs, fmt.Errorf("exclude_outbound_cidrs[%d]: %s has bits beyond its prefix; is %s meant?", i, c, c.Masked()))
		}
	}
	for i, port := range e.Ports {
		if port == 0 {
			errs = append(errs, fmt.Errorf("exclude_outbound_ports[%d]: 0 is not a port", i))
		}
	}
	for field, n := range map[string]int{
		"exclude_outbound_cidrs": len(e.CIDRs), "exclude_outbound_ports": len(e.Ports), "exclude_uids": len(e.UIDs),
	} {
		if n > maxExclusions {
			errs = append(errs, fmt.Errorf("%s: %d are more than %d", field, n, maxExclusions))
		}
	}
	return errors.Join(errs...)
}

// With are these and those of o.
func (e Exclusions) With(o Exclusions) Exclusions {
	return Exclusions{
		CIDRs: slices.Concat(e.CIDRs, o.CIDRs), Ports: slices.Concat(e.Ports, o.Ports), UIDs: slices.Concat(e.UIDs, o.UIDs),
	}
}
