package network

import (
	"encoding/binary"
	"slices"
)

// Brought is what a connection to an internal listener begins with: what the
// side that connects hands on of hosts' metadata and of filter state (the
// transport socket internal_upstream).
type Brought struct {
	Metadata map[string]map[string]any // by namespace
	Objects  []SharedObject
}

// Bring gives the connection what was brought.
func (i *Info) Bring(b *Brought) {
	for namespace, values := range b.Metadata {
		for k, v := range values {
			i.SetMetadata(namespace, k, v)
		}
	}
	for _, o := range b.Objects {
		i.SetFilterState(o.Name, o.Value)
		if o.Sharing == ShareTransitively {
			i.SetFilterState(SharingKey, SharingOf(i.FilterState).With(o.Name, o.Sharing))
		}
	}
}

// Sharing tells whether an object of the filter state goes on to internal
// connections upstream (FilterStateValue.SharedWithUpstream).
type Sharing byte

const (
	ShareNot Sharing = iota
	ShareOnce
	ShareTransitively // and on to those that follow
)

// SharedObject is an object that goes on to an internal connection.
type SharedObject struct {
	Name, Value string
	Sharing     Sharing
}

// SharingKey is the entry of a filter state that tells which of its objects
// are shared: a [SharedNames].
const SharingKey = "weir.shared_with_upstream"

// SharedNames are the objects that are shared, in the order of their names.
// They are not changed, for filter states have them in common.
type SharedNames []sharedName

type sharedName struct {
	name string
	how  Sharing
}

// SharingOf is the entry of that filter state.
func SharingOf(state map[string]any) SharedNames {
	names, _ := state[SharingKey].(SharedNames)
	return names
}

// With is names after one object's sharing was set.
func (names SharedNames) With(name string, how Sharing) SharedNames {
	i := slices.IndexFunc(names, func(s sharedName) bool { return s.name >= name })
	if i < 0 {
		i = len(names)
	}
	out := slices.Clone(names)
	if i < len(out) && out[i].name == name {
		out = slices.Delete(out, i, i+1)
	}
	if how == ShareNot {
		return out
	}
	return slices.Insert(out, i, sharedName{name, how})
}

// EncodeShared is what is shared of a filter state, as a string that is equal
// for equal objects; "" for nothing. Only texts are shared.
func EncodeShared(state map[string]any) string {
	names := SharingOf(state)
	if len(names) == 0 {
		return ""
	}
	var b []byte
	for _, s := range names {
		if v, ok := state[s.name].(string); ok {
			b = append(b, byte(s.how))
			for _, text := range [...]string{s.name, v} {
				b = append(binary.AppendUvarint(b, uint64(len(text))), text...)
			}
		}
	}
	return string(b)
}

// DecodeShared is the inverse of EncodeShared.
func DecodeShared(s string) (out []SharedObject) {
	for len(s) > 0 {
		o := SharedObject{Sharing: Sharing(s[0])}
		s = s[1:]
		for _, text := range [...]*string{&o.Name, &o.Value} {
			n, k := binary.Uvarint([]byte(s[:min(len(s), binary.MaxVarintLen64)]))
			*text, s = s[k:k+int(n)], s[k+int(n):]
		}
		out = append(out, o)
	}
	return out
}
