package matcher

import "net/netip"

type valueKind uint8

const (
	valueNull valueKind = iota
	valueDouble
	valueDoubleRange
	valueString
	valueBool
	valuePresent
	valueListOneOf
	valueOr
)

// Value is a compiled ValueMatcher, for values as google.protobuf.Struct has
// them: nil, bool, float64, string, []any, map[string]any.
type Value struct {
	kind       valueKind
	want       bool
	start, end float64
	str        String
	sub        []Value
}

// Match tells whether v, which exists when found, satisfies the matcher.
func (m *Value) Match(v any, found bool) bool {
	switch m.kind {
	case valuePresent:
		return found == m.want
	case valueOr:
		for i := range m.sub {
			if m.sub[i].Match(v, found) {
				return true
			}
		}
		return false
	}
	if !found {
		return false
	}
	switch v := v.(type) {
	case nil:
		return m.kind == valueNull
	case bool:
		return m.kind == valueBool && v == m.want
	case float64:
		return m.kind == valueDouble && v == m.start ||
			m.kind == valueDoubleRange && m.start <= v && v < m.end
	case string:
		return m.kind == valueString && m.str.Match(v)
	case []any:
		if m.kind == valueListOneOf {
			for _, e := range v {
				if m.sub[0].Match(e, true) {
					return true
				}
			}
		}
	}
	return false
}

// Metadata is a compiled MetadataMatcher.
type Metadata struct {
	namespace string
	path      []string
	value     Value
	invert    bool
}

// Match tells whether metadata, by namespace, satisfies the matcher.
func (m *Metadata) Match(metadata map[string]map[string]any) bool {
	v, found := LookupMetadata(metadata, m.namespace, m.path)
	return m.value.Match(v, found) != m.invert
}

// LookupMetadata finds the value at a path of keys in a namespace.
func LookupMetadata(metadata map[string]map[string]any, namespace string, path []string) (v any, found bool) {
	level := metadata[namespace]
	for i, key := range path {
		if v, found = level[key]; !found {
			return nil, false
		}
		if i < len(path)-1 {
			if level, found = v.(map[string]any); !found {
				return nil, false
			}
		}
	}
	return v, found
}

// FilterState is a compiled FilterStateMatcher.
type FilterState struct {
	key    string
	str    String
	ranges []netip.Prefix // address_match when not nil
	invert bool
}

// Match tells whether the object under the matcher's key satisfies it. An
// object is a string, a netip.Addr, or has a String method.
func (m *FilterState) Match(state map[string]any) bool {
	object, found := state[m.key]
	if !found {
		return false
	}
	if m.ranges != nil {
		addr, ok := object.(netip.Addr)
		return ok && m.contains(addr.Unmap()) != m.invert
	}
	switch o := object.(type) {
	case string:
		return m.str.Match(o)
	case interface{ String() string }:
		return m.str.Match(o.String())
	}
	return false
}

func (m *FilterState) contains(a netip.Addr) bool {
	for _, r := range m.ranges {
		if r.Contains(a) {
			return true
		}
	}
	return false
}
