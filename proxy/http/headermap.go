package http

import (
	"strings"
	"unsafe"
)

// Header is one line of a HeaderMap: the name in lower case, the value
// without surrounding white space.
type Header struct {
	Name, Value string
	ID          HeaderID
	removed     bool
	// Sensitive asks encoders never to index the line (RFC 7541 section 7.1.3).
	Sensitive bool
}

// HeaderMap is an ordered list of header lines with quick access to those
// whose names the proxy knows. Pseudo-headers (":path") are lines like
// others. The zero value is empty and ready; Reset makes it so again and
// keeps its memory. A HeaderMap must not be copied.
type HeaderMap struct {
	lines []Header
	first [NumHeaderIDs]uint16 // 1 + index of the first line of that ID; 0: none
	gone  int                  // lines marked removed
	size  int                  // bytes of names and values
	arena arena

	// spelled tells that names are written again as they came: as in spelling
	// where they had capitals, else in lower case.
	spelled  bool
	spelling []string
	// capitalize has names that did not come with the message be written with
	// capitals; spelling then has all that did.
	capitalize bool
	odd        bool // a name was added that can't be sent

	// Reason is the phrase behind an HTTP/1 status; "" is the usual one.
	Reason string

	// What the codec that filled the map would have taken; 0: any.
	maxLines, maxBytes int
}

// SetLimits tells how many lines and bytes the codec takes whose message the
// map is.
func (h *HeaderMap) SetLimits(lines, bytes int) { h.maxLines, h.maxBytes = lines, bytes }

// OverLimits tells whether filters have made the map larger than its codec
// would have taken it. A map that no codec has filled has no limits.
func (h *HeaderMap) OverLimits() bool {
	return h.maxLines > 0 && h.Len() > h.maxLines || h.maxBytes > 0 && h.size > h.maxBytes
}

// KeepSpelling has the names be written as they came; Spell tells how. With
// capitalize those of other lines get capitals.
func (h *HeaderMap) KeepSpelling(capitalize bool) { h.spelled, h.capitalize = true, capitalize }

// Spell keeps a name with capitals, or any with KeepSpelling(true). It must
// live as long as the map's content.
func (h *HeaderMap) Spell(name string) { h.spelling = append(h.spelling, name) }

// Spelling is how a lower-case name came. known is false when the map does
// not keep that, or when capitalize and the name did not come.
func (h *HeaderMap) Spelling(name string) (spelled string, known, capitalize bool) {
	if !h.spelled {
		return name, false, false
	}
	for _, s := range h.spelling {
		if strings.EqualFold(s, name) {
			return s, true, false
		}
	}
	return name, !h.capitalize, h.capitalize
}

// Reset empties the map. Strings taken from it become invalid.
func (h *HeaderMap) Reset() {
	h.lines = h.lines[:0]
	h.first = [NumHeaderIDs]uint16{}
	h.gone, h.size = 0, 0
	h.spelled, h.spelling, h.capitalize, h.odd = false, h.spelling[:0], false, false
	h.maxLines, h.maxBytes, h.Reason = 0, 0, ""
	h.arena.reset()
}

// Len is the number of lines.
func (h *HeaderMap) Len() int { return len(h.lines) - h.gone }

// Bytes is the size of all names and values together.
func (h *HeaderMap) Bytes() int { return h.size }

// Alloc returns n bytes of the map's own memory, whose content the caller
// sets: a codec copies a whole header section there and adds lines that point
// into it. They are valid until Reset.
func (h *HeaderMap) Alloc(n int) []byte { return h.arena.alloc(n) }

// Own copies s into the map's memory.
func (h *HeaderMap) Own(s string) string {
	if len(s) == 0 {
		return ""
	}
	p := h.arena.alloc(len(s))
	copy(p, s)
	return unsafe.String(&p[0], len(p))
}

// OwnBytes is Own of bytes.
func (h *HeaderMap) OwnBytes(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	p := h.arena.alloc(len(b))
	copy(p, b)
	return unsafe.String(&p[0], len(p))
}

// Add appends a line. The strings are kept, not copied: they must live as
// long as the map's content (constants, configuration, Own, Alloc).
func (h *HeaderMap) Add(id HeaderID, value string) {
	h.add(id, names[id], value)
}

// AddName is Add by lower-case name, known or not.
func (h *HeaderMap) AddName(name, value string) {
	if id := LookupID(name); id != Unknown {
		h.add(id, names[id], value) // the constant outlives the caller's copy
		return
	}
	h.odd = h.odd || !IsToken(strings.TrimPrefix(name, ":"))
	h.add(Unknown, name, value)
}

// AddUnknown is AddName by one who has found that LookupID does not know the
// name.
func (h *HeaderMap) AddUnknown(name, value string) { h.add(Unknown, name, value) }

func (h *HeaderMap) add(id HeaderID, name, value string) {
	n := len(h.lines)
	if n < cap(h.lines) {
		h.lines = h.lines[:n+1]
	} else {
		h.lines = append(h.lines, Header{})
	}
	l := &h.lines[n]
	*l = Header{Name: name, Value: value, ID: id}
	h.size += len(name) + len(value)
	if id != Unknown && h.first[id] == 0 {
		h.first[id] = uint16(min(n+1, 1<<16-1))
	}
}

// MarkSensitive marks the line added last as one never to be indexed.
func (h *HeaderMap) MarkSensitive() { h.lines[len(h.lines)-1].Sensitive = true }

// Get is the value of a known header's first line, "" when there is none.
func (h *HeaderMap) Get(id HeaderID) string {
	if i := h.first[id]; i != 0 {
		return h.lines[i-1].Value
	}
	return ""
}

// Has tells whether a known header is there.
func (h *HeaderMap) Has(id HeaderID) bool { return h.first[id] != 0 }

// lookup is LookupID for readers and filters, to whom the host of a request
// is its :authority.
func (h *HeaderMap) lookup(name string) HeaderID {
	id := LookupID(name)
	if id == Host && h.Has(Authority) {
		return Authority
	}
	return id
}

// GetName is Get by lower-case name; ok tells whether there is such a line.
func (h *HeaderMap) GetName(name string) (value string, ok bool) {
	if id := h.lookup(name); id != Unknown {
		return h.Get(id), h.Has(id)
	}
	for i := range h.lines {
		if l := &h.lines[i]; !l.removed && l.Name == name {
			return l.Value, true
		}
	}
	return "", false
}

// Set replaces all lines of a known header by one, or adds it. The value is
// kept, not copied.
func (h *HeaderMap) Set(id HeaderID, value string) {
	i := int(h.first[id])
	if i == 0 {
		h.Add(id, value)
		return
	}
	l := &h.lines[i-1]
	h.size += len(value) - len(l.Value)
	l.Value = value
	h.removeFrom(i, id, "")
}

// SetName is Set by lower-case name.
func (h *HeaderMap) SetName(name, value string) {
	if id := h.lookup(name); id != Unknown {
		h.Set(id, value)
		return
	}
	for i := range h.lines {
		if l := &h.lines[i]; !l.removed && l.Name == name {
			h.size += len(value) - len(l.Value)
			l.Value = value
			h.removeFrom(i+1, Unknown, name)
			return
		}
	}
	h.AddName(name, value)
}

// Remove removes all lines of a known header and returns how many there were.
func (h *HeaderMap) Remove(id HeaderID) int {
	i := int(h.first[id])
	if i == 0 {
		return 0
	}
	h.first[id] = 0
	return h.removeFrom(i-1, id, "")
}

// RemoveName is Remove by lower-case name.
func (h *HeaderMap) RemoveName(name string) int {
	if id := LookupID(name); id != Unknown {
		return h.Remove(id)
	}
	return h.removeFrom(0, Unknown, name)
}

// RemoveIf removes the lines for which drop is true.
func (h *HeaderMap) RemoveIf(drop func(*Header) bool) {
	for i := range h.lines {
		if l := &h.lines[i]; !l.removed && drop(l) {
			if l.ID != Unknown {
				h.first[l.ID] = 0
			}
			h.kill(l)
		}
	}
	// Another line of the same name may remain.
	for i := range h.lines {
		if l := &h.lines[i]; !l.removed && l.ID != Unknown && h.first[l.ID] == 0 {
			h.first[l.ID] = uint16(i + 1)
		}
	}
}

func (h *HeaderMap) removeFrom(i int, id HeaderID, name string) (n int) {
	for ; i < len(h.lines); i++ {
		l := &h.lines[i]
		if l.removed || l.ID != id || id == Unknown && l.Name != name {
			continue
		}
		h.kill(l)
		n++
	}
	return n
}

func (h *HeaderMap) kill(l *Header) {
	l.removed = true
	h.gone++
	h.size -= len(l.Name) + len(l.Value)
}

// All yields the lines in order, for range. A line's Value may be changed in
// place through SetValue only.
func (h *HeaderMap) All(yield func(*Header) bool) {
	for i := range h.lines {
		if l := &h.lines[i]; !l.removed && !yield(l) {
			return
		}
	}
}

// Lines is the raw list with its removed lines, for codecs; Removed tells.
func (h *HeaderMap) Lines() []Header { return h.lines }

// Removed tells whether the line is no longer part of its map.
func (l *Header) Removed() bool { return l.removed }

// SetValue changes a line found by All.
func (h *HeaderMap) SetValue(l *Header, value string) {
	h.size += len(value) - len(l.Value)
	l.Value = value
}
