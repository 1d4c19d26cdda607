package match

import "net/netip"

// prefixes maps address ranges to values; lookup takes the longest range that
// contains the address. The distinct lengths are few, so each is a map probe.
type prefixes[T any] struct {
	lengths [2][]uint8 // by family (v4, v6), the longest first
	m       map[netip.Prefix]T
	any     T // for chains that name no range
	hasAny  bool
}

func (p *prefixes[T]) lookup(a netip.Addr) (v T, ok bool) {
	if p == nil {
		return v, false
	}
	for _, n := range p.lengths[family(a)] {
		prefix, err := a.Prefix(int(n))
		if err != nil {
			continue // zones do not occur in socket addresses
		}
		if v, ok := p.m[prefix]; ok {
			return v, true
		}
	}
	return p.any, p.hasAny
}

// at returns the value of a range, made by mk when it is new. The zero prefix
// is the range of those who name none.
func (p *prefixes[T]) at(r netip.Prefix, mk func() T) T {
	if !r.IsValid() {
		if !p.hasAny {
			p.any, p.hasAny = mk(), true
		}
		return p.any
	}
	if v, ok := p.m[r]; ok {
		return v
	}
	if p.m == nil {
		p.m = map[netip.Prefix]T{}
	}
	v := mk()
	p.m[r] = v
	p.addLength(family(r.Addr()), uint8(r.Bits()))
	return v
}

func (p *prefixes[T]) addLength(f int, n uint8) {
	ls := p.lengths[f]
	i := 0
	for i < len(ls) && ls[i] > n {
		i++
	}
	if i < len(ls) && ls[i] == n {
		return
	}
	ls = append(ls, 0)
	copy(ls[i+1:], ls[i:])
	ls[i] = n
	p.lengths[f] = ls
}

func family(a netip.Addr) int {
	if a.Is4() {
		return 0
	}
	return 1
}
