package tree

import (
	"net/netip"
	"sort"
	"strings"

	"github.com/cespare/xxhash/v2"

	"github.com/weirproxy/weir/proxy/fraction"
	"github.com/weirproxy/weir/proxy/matcher"
	"github.com/weirproxy/weir/proxy/stats"
)

// stringTest holds for texts that m matches.
func stringTest(m matcher.String) test {
	return func(d *Data, v value) bool { return v.state == present && m.Match(v.string(d)) }
}

// ipTest holds for addresses within the ranges. Texts that are none are
// counted by failed, if that is not nil.
func ipTest(ranges []netip.Prefix, failed *stats.SharedCounter) test {
	return func(_ *Data, v value) bool {
		a := v.address()
		if failed != nil && v.kind == textValue && v.text != "" && !a.IsValid() {
			failed.Inc()
		}
		for _, r := range ranges {
			if r.Contains(a) {
				return true
			}
		}
		return false
	}
}

// metadataTest holds for metadata values that m matches.
func metadataTest(m matcher.Value, invert bool) test {
	return func(_ *Data, v value) bool {
		return m.Match(v.any, v.state == present && v.kind == anyValue) != invert
	}
}

// hashTest holds for a share of values, always the same ones.
func hashTest(threshold, modulo, seed uint64) test {
	return func(d *Data, v value) bool {
		return v.state == present && hash(d, v, seed)%modulo >= threshold
	}
}

// fractionTest holds for a share of values that the runtime can change.
func fractionTest(share fraction.Percent, seed uint64) test {
	return func(d *Data, v value) bool { return v.state == present && share.Picks(hash(d, v, seed)) }
}

func hash(d *Data, v value, seed uint64) uint64 {
	h := xxhash.NewWithSeed(seed)
	h.WriteString(v.string(d))
	return h.Sum64()
}

// ipMap takes the narrowest range that has the input and leads somewhere.
type ipMap struct {
	in     input
	ranges []ipRange // narrowest first
	none   *onMatch
}

type ipRange struct {
	prefix    netip.Prefix
	exclusive bool // not tried after a narrower one
	then      *onMatch
}

func (m *ipMap) sort() {
	sort.SliceStable(m.ranges, func(i, j int) bool { return m.ranges[i].prefix.Bits() > m.ranges[j].prefix.Bits() })
}

func (m *ipMap) match(d *Data) (any, Result) {
	v := m.in(d)
	if v.state == notYet {
		return nil, NotYet
	}
	addr, tried := v.address(), false
	for i := range m.ranges {
		r := &m.ranges[i]
		if !r.prefix.Contains(addr) || tried && r.exclusive {
			continue
		}
		if action, result := r.then.follow(d); result != NoMatch {
			return action, result
		}
		tried = true
	}
	return m.none.follow(d)
}

// domainMap finds a server name: exactly, then by its longest wildcard, then
// by "*". Case counts: server names are in lower case by then.
type domainMap struct {
	in        input
	exact     map[string]*onMatch
	wildcards map[string]*onMatch // ".example" for "*.example"
	any       *onMatch
	none      *onMatch
}

func (m *domainMap) match(d *Data) (any, Result) {
	v := m.in(d)
	if v.state == notYet {
		return nil, NotYet
	}
	if name := v.string(d); name != "" {
		if action, r := m.exact[name].follow(d); r != NoMatch {
			return action, r
		}
		for i := strings.IndexByte(name, '.'); i >= 0; {
			if action, r := m.wildcards[name[i:]].follow(d); r != NoMatch {
				return action, r
			}
			next := strings.IndexByte(name[i+1:], '.')
			if next < 0 {
				break
			}
			i += 1 + next
		}
		if action, r := m.any.follow(d); r != NoMatch {
			return action, r
		}
	}
	return m.none.follow(d)
}
