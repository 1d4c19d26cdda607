package server

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/weirproxy/weir/dnsproxy"
	"github.com/weirproxy/weir/proxy/filter/udp/dnsfilter"
	"github.com/weirproxy/weir/proxy/upstream"
)

// What the node's DNS knows of the mesh: the domains of the virtual hosts that
// serve the outbound listener, and the tables of the DNS listener. It is
// collected anew when either changes.

const (
	// namesDelay is how long changes are waited for, to take them at once.
	namesDelay = 50 * time.Millisecond
	// endpointsInterval is how often the endpoints of clusters are looked at
	// that tables name.
	endpointsInterval = 5 * time.Second
)

func (s *server) takeDNSTable(t *dnsfilter.Table) {
	s.dnsTables = append(s.dnsTables, t)
	s.namesChanged()
}

func (s *server) leaveDNSTable(t *dnsfilter.Table) {
	s.dnsTables = slices.DeleteFunc(s.dnsTables, func(other *dnsfilter.Table) bool { return other == t })
	s.namesChanged()
}

// namesChanged has the names collected soon. It is called on main.
func (s *server) namesChanged() {
	if s.node != nil {
		s.node.dns.collect.Enable(namesDelay)
	}
}

func (d *nodeDNS) collectNames() {
	names := dnsproxy.NewNames()
	for _, t := range d.n.s.routes.sorted() {
		if t.users[d.n.s.o.OutboundListener] == 0 || t.proto == nil {
			continue
		}
		for _, v := range t.proto.GetVirtualHosts() {
			for _, domain := range v.GetDomains() {
				names.AddHost(strings.ToLower(domain))
			}
		}
	}
	var ofClusters []dnsfilter.Name
	for _, t := range d.n.s.dnsTables {
		for _, n := range t.Names {
			switch {
			case n.Cluster != "":
				ofClusters = append(ofClusters, n)
			case len(n.Addresses) > 0:
				names.Set(n.Name, n.Addresses, n.TTL)
			default:
				names.AddHost(n.Name)
			}
		}
	}
	if len(ofClusters) == 0 {
		d.server.SetNames(names)
		return
	}
	go d.addEndpoints(names, ofClusters)
}

// addEndpoints gives names the addresses of clusters' endpoints, as they are
// now, and has them looked at again. It is not on main, which it waits for.
func (d *nodeDNS) addEndpoints(names *dnsproxy.Names, ofClusters []dnsfilter.Name) {
	ctx, cancel := context.WithTimeout(context.Background(), endpointsInterval)
	defer cancel()
	clusters, err := d.n.s.clusters.Status(ctx)
	if err == nil {
		for _, n := range ofClusters {
			names.Set(n.Name, endpointsOf(clusters, n.Cluster), n.TTL)
		}
		d.server.SetNames(names)
	}
	d.n.s.loops[0].Post(func() {
		if !d.collect.Enabled() { // something else has changed
			d.collect.Enable(endpointsInterval)
		}
	})
}

func endpointsOf(clusters []upstream.Status, name string) (addrs []netip.Addr) {
	for i := range clusters {
		if clusters[i].Info.Name != name {
			continue
		}
		for _, h := range clusters[i].Hosts {
			if addr := h.Current().Addr().Unmap(); addr.IsValid() && !slices.Contains(addrs, addr) {
				addrs = append(addrs, addr)
			}
		}
	}
	return addrs
}
