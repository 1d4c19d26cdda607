package route

import (
	"github.com/weirproxy/weir/proxy/formatter"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/matcher"
)

// FormatContext is what substitution commands in header values can see.
type FormatContext = formatter.Context

// ValueFormatter fills in a header value with substitution commands. Append is
// called on workers.
type ValueFormatter interface {
	Append(dst []byte, c *FormatContext) []byte
}

// mutations are the header changes of one level; nil for none.
type mutations struct{ request, response *mutationList }

// mutationList removes, then sets, then adds.
type mutationList struct {
	remove []string // lower case
	add    []mutation
}

type appendAction uint8

const (
	appendOrAdd appendAction = iota
	addIfAbsent
	overwriteOrAdd
	overwriteIfExists
)

type mutation struct {
	name      string // lower case
	value     string
	format    ValueFormatter // instead of value when not nil
	action    appendAction
	keepEmpty bool
}

// apply changes h. Values are all computed, and presence is looked up, before
// the first line is set or added.
func (m *mutationList) apply(h *http.HeaderMap, c *FormatContext) {
	if m == nil {
		return
	}
	for _, name := range m.remove {
		h.RemoveName(name)
	}
	type line struct {
		name, value string
		set         bool
	}
	var buf [16]line
	lines := buf[:0]
	var text []byte
	for i := range m.add {
		a := &m.add[i]
		value := a.value
		if a.format != nil {
			if text == nil {
				text = h.Alloc(512)[:0]
			}
			start := len(text)
			text = a.format.Append(text, c)
			value = stringOf(text[start:])
		}
		if value == "" && !a.keepEmpty {
			continue
		}
		set := a.action == overwriteOrAdd || a.action == overwriteIfExists
		if a.action == addIfAbsent || a.action == overwriteIfExists {
			if _, found := h.GetName(a.name); found != (a.action == overwriteIfExists) {
				continue
			}
		}
		lines = append(lines, line{a.name, value, set})
	}
	for i := range lines {
		if lines[i].set {
			h.SetName(lines[i].name, lines[i].value)
		}
	}
	for i := range lines {
		if !lines[i].set {
			appendLine(h, lines[i].name, lines[i].value)
		}
	}
}

// appendLine adds a line, or appends to the one that is there if the header is
// one that Envoy keeps on one line.
func appendLine(h *http.HeaderMap, name, value string) {
	id := http.LookupID(name)
	if !matcher.Inline(id) {
		h.AddName(name, value)
		return
	}
	h.Append(id, ",", value)
}

// mutate applies each level's changes, behind those of a weighted cluster:
// from the most to the least specific, so that the route configuration has the
// last word, or the other way about with most_specific_header_mutations_wins.
func (r *Route) mutate(h *http.HeaderMap, c *FormatContext, list func(*mutations) *mutationList) {
	e := r.entry
	v := e.vhost
	first, last := &e.mutations, &v.config.mutations
	if v.config.specificWins {
		first, last = last, first
	}
	list(first).apply(h, c)
	list(&v.mutations).apply(h, c)
	list(last).apply(h, c)
}

func requestList(m *mutations) *mutationList  { return m.request }
func responseList(m *mutations) *mutationList { return m.response }
