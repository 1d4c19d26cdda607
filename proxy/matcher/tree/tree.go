package tree

import "sort"

// Result is the outcome of a match.
type Result uint8

const (
	NoMatch Result = iota
	Matched
	NotYet // data is missing that may still come
)

// Tree is a compiled Matcher with actions of type A. It is immutable.
type Tree[A any] struct{ root node }

// Match finds the action for d.
func (t *Tree[A]) Match(d *Data) (action A, r Result) {
	found, r := t.root.match(d)
	if r == Matched {
		action = found.(A)
	}
	return action, r
}

// node is a matcher within the tree.
type node interface {
	match(d *Data) (action any, r Result)
}

// onMatch is where a condition leads: to an action or to another matcher.
type onMatch struct {
	action any
	next   node // instead of action when not nil
	keep   bool // keep_matching: go on as if nothing had matched
}

func (o *onMatch) follow(d *Data) (any, Result) {
	switch {
	case o == nil:
		return nil, NoMatch
	case o.next != nil:
		action, r := o.next.match(d)
		if r == Matched && o.keep {
			return nil, NoMatch
		}
		return action, r
	case o.keep:
		return nil, NoMatch
	}
	return o.action, Matched
}

// list takes the first of its conditions that holds and leads somewhere.
type list struct {
	entries []entry
	none    *onMatch
}

type entry struct {
	when predicate
	then *onMatch
}

func (l *list) match(d *Data) (any, Result) {
	for i := range l.entries {
		e := &l.entries[i]
		switch e.when(d) {
		case NotYet:
			return nil, NotYet
		case Matched:
			if action, r := e.then.follow(d); r != NoMatch {
				return action, r
			}
		}
	}
	return l.none.follow(d)
}

// exactMap looks the input up.
type exactMap struct {
	in   input
	to   map[string]*onMatch
	none *onMatch
}

func (m *exactMap) match(d *Data) (any, Result) {
	v := m.in(d)
	if v.state == notYet {
		return nil, NotYet
	}
	if v.state == present {
		if o, ok := m.to[v.string(d)]; ok {
			if action, r := o.follow(d); r != NoMatch {
				return action, r
			}
		}
	}
	return m.none.follow(d)
}

// prefixMap takes the longest prefix of the input that leads somewhere.
type prefixMap struct {
	in       input
	prefixes []prefixEntry // longest first
	none     *onMatch
}

type prefixEntry struct {
	prefix string
	then   *onMatch
}

func (m *prefixMap) sort() {
	sort.Slice(m.prefixes, func(i, j int) bool { return len(m.prefixes[i].prefix) > len(m.prefixes[j].prefix) })
}

func (m *prefixMap) match(d *Data) (any, Result) {
	v := m.in(d)
	if v.state == notYet {
		return nil, NotYet
	}
	if v.state == present {
		text := v.string(d)
		for i := range m.prefixes {
			p := &m.prefixes[i]
			if len(text) < len(p.prefix) || text[:len(p.prefix)] != p.prefix {
				continue
			}
			if action, r := p.then.follow(d); r != NoMatch {
				return action, r
			}
		}
	}
	return m.none.follow(d)
}

// predicate is a condition.
type predicate func(d *Data) Result

func not(p predicate) predicate {
	return func(d *Data) Result {
		switch p(d) {
		case Matched:
			return NoMatch
		case NoMatch:
			return Matched
		}
		return NotYet
	}
}

func all(ps []predicate) predicate {
	return func(d *Data) Result {
		for _, p := range ps {
			if r := p(d); r != Matched {
				return r
			}
		}
		return Matched
	}
}

func any1(ps []predicate) predicate {
	return func(d *Data) Result {
		missing := NoMatch
		for _, p := range ps {
			switch p(d) {
			case Matched:
				return Matched
			case NotYet:
				missing = NotYet
			}
		}
		return missing
	}
}
