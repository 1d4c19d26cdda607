package route

import "github.com/weirproxy/weir/proxy/matcher"

// indexFrom is the number of entries from which a virtual host is given an
// index: below it, trying each is as quick and takes no memory.
const indexFrom = 8

// index finds the entries of a virtual host whose path match can apply,
// without looking at the others. Entries are named by their position.
type index struct {
	exact  map[string][]int32
	prefix radix // prefix and path_separated_prefix

	// The same for entries that ignore case, by lower-case path; nil and
	// empty when there are none.
	exactFold  map[string][]int32
	prefixFold radix

	others []int32 // regular expressions, templates, CONNECT
}

func buildIndex(entries []Entry) *index {
	if len(entries) < indexFrom {
		return nil
	}
	x := &index{}
	for i := range entries {
		p, n := &entries[i].path, int32(i)
		switch {
		case p.kind == pathExact && p.fold:
			addTo(&x.exactFold, p.value, n)
		case p.kind == pathExact:
			addTo(&x.exact, p.value, n)
		case (p.kind == pathPrefix || p.kind == pathSeparatedPrefix) && p.fold:
			x.prefixFold.insert(p.value, n)
		case p.kind == pathPrefix || p.kind == pathSeparatedPrefix:
			x.prefix.insert(p.value, n)
		default:
			x.others = append(x.others, n)
		}
	}
	return x
}

func addTo(m *map[string][]int32, key string, n int32) {
	if *m == nil {
		*m = make(map[string][]int32)
	}
	(*m)[key] = append((*m)[key], n)
}

// find is the first entry, in order, that matches the request.
func (x *index) find(entries []Entry, rq *request) *Entry {
	// Each list is ascending: the next candidate is the least of the heads.
	// More lists than fit here need as many nested prefixes in one path.
	var buf [16][]int32
	lists := append(buf[:0], x.others, x.exact[rq.path])
	lists = x.prefix.collect(rq.path, lists)
	if x.exactFold != nil || x.prefixFold.used() {
		lower := rq.lowerPath()
		lists = append(lists, x.exactFold[lower])
		lists = x.prefixFold.collect(lower, lists)
	}
	for {
		least := -1
		for i, l := range lists {
			if len(l) > 0 && (least < 0 || l[0] < lists[least][0]) {
				least = i
			}
		}
		if least < 0 {
			return nil
		}
		if e := &entries[lists[least][0]]; e.matches(rq) {
			return e
		}
		lists[least] = lists[least][1:]
	}
}

// scan is what find answers, by trying each entry in turn.
func scan(entries []Entry, rq *request) *Entry {
	for i := range entries {
		if entries[i].matches(rq) {
			return &entries[i]
		}
	}
	return nil
}

// lowerPath is the path in lower case, in the header map's memory if it must
// be changed.
func (rq *request) lowerPath() string { return lowerIn(rq.headers, rq.path) }

func lowerIn(h allocator, s string) string {
	for i := range len(s) {
		if matcher.Lower(s[i]) != s[i] {
			b := h.Alloc(len(s))
			for j := range b {
				b[j] = matcher.Lower(s[j])
			}
			return stringOf(b)
		}
	}
	return s
}
