package match

import (
	"net/netip"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	"google.golang.org/protobuf/proto"

	"github.com/weirproxy/weir/internal/field"
)

// Compile builds the table of a listener's filter chains, which lie at
// path.filter_chains. Chains that could take the same connection by the same
// criteria are an error, as in Envoy.
func Compile(path field.Path, chains []*listenerv3.FilterChain) (*Table, error) {
	t := &Table{root: ports[*prefixes[byServerName]]{}}
	for i, c := range chains {
		m := c.GetFilterChainMatch()
		for j, earlier := range chains[:i] {
			if proto.Equal(orEmpty(m), orEmpty(earlier.GetFilterChainMatch())) {
				return nil, path.Dot("filter_chains").Index(i).Dot("filter_chain_match").Errorf("filter chain %q has the same matching rules as %q (filter_chains[%d])", c.GetName(), earlier.GetName(), j)
			}
		}
		if err := t.add(path.Dot("filter_chains").Index(i).Dot("filter_chain_match"), orEmpty(m), i); err != nil {
			return nil, err
		}
	}
	return t, nil
}

func orEmpty(m *listenerv3.FilterChainMatch) *listenerv3.FilterChainMatch {
	if m == nil {
		return &listenerv3.FilterChainMatch{}
	}
	return m
}

// criteria is one chain's match with every absent list replaced by the value
// that stands for "not named".
type criteria struct {
	port                           uint16
	destinations, directs, sources []netip.Prefix
	names, transports, protocols   []string
	sourceType                     int
	sourcePorts                    []uint16
}

func (t *Table) add(path field.Path, m *listenerv3.FilterChainMatch, chain int) error {
	c, err := compileCriteria(path, m)
	if err != nil {
		return err
	}
	for _, leaf := range t.leaves(c) {
		for _, port := range c.sourcePorts {
			if other, ok := leaf[port]; ok && other != chain {
				return path.Errorf("overlaps the matching rules of filter_chains[%d]: each connection must have one chain", other)
			} else if ok {
				return path.Errorf("names the same criteria twice")
			}
			leaf[port] = chain
		}
	}
	return nil
}

// leaves are the places of the tree that the criteria reach, made where they
// are new: the product of all the lists but the last.
func (t *Table) leaves(c *criteria) (out []bySourcePort) {
	byAddress := t.root[c.port]
	if byAddress == nil {
		byAddress = &prefixes[byServerName]{}
		t.root[c.port] = byAddress
	}
	for _, d := range c.destinations {
		names := byAddress.at(d, func() byServerName { return byServerName{} })
		for _, n := range c.names {
			transports := entry(names, n)
			for _, tp := range c.transports {
				protocols := entry(transports, tp)
				for _, ap := range c.protocols {
					directs := protocols[ap]
					if directs == nil {
						directs = &prefixes[*bySourceType]{}
						protocols[ap] = directs
					}
					out = append(out, c.sourceLeaves(directs)...)
				}
			}
		}
	}
	return out
}

func (c *criteria) sourceLeaves(directs *prefixes[*bySourceType]) (out []bySourcePort) {
	for _, d := range c.directs {
		types := directs.at(d, func() *bySourceType { return new(bySourceType) })
		if types[c.sourceType] == nil {
			types[c.sourceType] = &prefixes[bySourcePort]{}
		}
		for _, s := range c.sources {
			out = append(out, types[c.sourceType].at(s, func() bySourcePort { return bySourcePort{} }))
		}
	}
	return out
}

func entry[M ~map[string]V, V ~map[string]W, W any](m M, key string) V {
	if m[key] == nil {
		m[key] = V{}
	}
	return m[key]
}

func compileCriteria(path field.Path, m *listenerv3.FilterChainMatch) (*criteria, error) {
	if err := field.Only(path, m, "destination_port", "prefix_ranges", "server_names", "transport_protocol", "application_protocols",
		"direct_source_prefix_ranges", "source_type", "source_prefix_ranges", "source_ports"); err != nil {
		return nil, err
	}
	c := &criteria{transports: []string{m.GetTransportProtocol()}, sourceType: int(m.GetSourceType())}
	port := m.GetDestinationPort().GetValue()
	if m.DestinationPort != nil && (port < 1 || port > 65535) {
		return nil, path.Dot("destination_port").Errorf("%d is not a port (1 to 65535)", port)
	}
	c.port = uint16(port)
	if c.sourceType < anySource || c.sourceType > external {
		return nil, path.Dot("source_type").Errorf("unknown value %d", c.sourceType)
	}
	for i, p := range m.GetSourcePorts() {
		if p < 1 || p > 65535 {
			return nil, path.Dot("source_ports").Index(i).Errorf("%d is not a port (1 to 65535)", p)
		}
		c.sourcePorts = append(c.sourcePorts, uint16(p))
	}
	var err error
	if c.destinations, err = ranges(path.Dot("prefix_ranges"), m.GetPrefixRanges()); err != nil {
		return nil, err
	}
	if c.directs, err = ranges(path.Dot("direct_source_prefix_ranges"), m.GetDirectSourcePrefixRanges()); err != nil {
		return nil, err
	}
	if c.sources, err = ranges(path.Dot("source_prefix_ranges"), m.GetSourcePrefixRanges()); err != nil {
		return nil, err
	}
	for i, n := range m.GetServerNames() {
		if strings.HasPrefix(n, "*.") {
			n = n[1:]
		} else if strings.Contains(n, "*") {
			return nil, path.Dot("server_names").Index(i).Errorf("%q: a wildcard must stand for whole labels at the start, as in \"*.example.com\"", n)
		}
		c.names = append(c.names, strings.ToLower(n))
	}
	c.protocols = m.GetApplicationProtocols()
	if len(c.names) == 0 {
		c.names = []string{""}
	}
	if len(c.protocols) == 0 {
		c.protocols = []string{""}
	}
	if len(c.sourcePorts) == 0 {
		c.sourcePorts = []uint16{0}
	}
	return c, nil
}

// ranges are the address ranges, or the zero prefix when there are none.
func ranges(path field.Path, rs []*corev3.CidrRange) ([]netip.Prefix, error) {
	if len(rs) == 0 {
		return []netip.Prefix{{}}, nil
	}
	out := make([]netip.Prefix, 0, len(rs))
	for i, r := range rs {
		a, err := netip.ParseAddr(r.GetAddressPrefix())
		if err != nil || a.Zone() != "" {
			return nil, path.Index(i).Dot("address_prefix").Errorf("%q is not an IP address", r.GetAddressPrefix())
		}
		// Longer than the address is the whole address, as in Envoy.
		out = append(out, netip.PrefixFrom(a, min(int(r.GetPrefixLen().GetValue()), a.BitLen())).Masked())
	}
	return out, nil
}
