package route

import "strings"

// radix is a tree of strings; each holds the positions of the entries whose
// path prefix it is.
type radix struct{ root node }

type node struct {
	label    string // what this node adds to its parent's string
	first    string // the first bytes of children's labels, in their order
	children []*node
	entries  []int32
}

func (t *radix) used() bool { return t.root.children != nil || t.root.entries != nil }

func (t *radix) insert(key string, entry int32) {
	n := &t.root
	for key != "" {
		i := strings.IndexByte(n.first, key[0])
		if i < 0 {
			child := &node{label: key}
			n.first += key[:1]
			n.children = append(n.children, child)
			n, key = child, ""
			break
		}
		child := n.children[i]
		common := commonPrefix(child.label, key)
		if common < len(child.label) { // split the child
			upper := &node{label: child.label[:common], first: child.label[common : common+1], children: []*node{child}}
			child.label = child.label[common:]
			n.children[i] = upper
			child = upper
		}
		n, key = child, key[common:]
	}
	n.entries = append(n.entries, entry)
}

func commonPrefix(a, b string) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}

// collect appends the entries of each string in the tree that path starts
// with.
func (t *radix) collect(path string, lists [][]int32) [][]int32 {
	for n := &t.root; ; {
		if n.entries != nil {
			lists = append(lists, n.entries)
		}
		if path == "" {
			return lists
		}
		i := strings.IndexByte(n.first, path[0])
		if i < 0 {
			return lists
		}
		if n = n.children[i]; !strings.HasPrefix(path, n.label) {
			return lists
		}
		path = path[len(n.label):]
	}
}
