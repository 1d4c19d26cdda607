package redirect

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/cilium/ebpf/btf"
)

// layout is how the bytes of a map's key or value are divided. One without
// fields is a whole.
type layout struct {
	size   int
	fields []member
}

type member struct {
	name         string
	offset, size int
	isArray      bool
}

// layoutOf is that of a type; nil stands for nothing that is known.
func layoutOf(t btf.Type, size uint32) (layout, error) {
	l := layout{size: int(size)}
	s, ok := btf.UnderlyingType(t).(*btf.Struct)
	if t == nil || !ok {
		return l, nil
	}
	for _, m := range s.Members {
		size, err := btf.Sizeof(m.Type)
		if err != nil {
			return l, fmt.Errorf("struct %s: %w", s.Name, err)
		}
		if strings.HasPrefix(m.Name, "pad") {
			continue
		}
		_, isArray := btf.UnderlyingType(m.Type).(*btf.Array)
		l.fields = append(l.fields, member{m.Name, int(m.Offset.Bytes()), size, isArray})
	}
	return l, nil
}

// same reports whether what was written by one can be read by the other.
func (l layout) same(o layout) bool {
	return l.size == o.size && slices.Equal(l.fields, o.fields)
}

// convert is b, which has layout l, in layout to: field by field, by name. What
// only to has is zero; what only l has is left out.
func (l layout) convert(b []byte, to layout) []byte {
	out := make([]byte, to.size)
	if len(l.fields) == 0 || len(to.fields) == 0 {
		copy(out, b)
		return out
	}
	for _, f := range to.fields {
		i := slices.IndexFunc(l.fields, func(m member) bool { return m.name == f.name })
		if i < 0 {
			continue
		}
		from := l.fields[i]
		src, dst := b[from.offset:from.offset+from.size], out[f.offset:f.offset+f.size]
		if from.size == f.size || from.isArray || f.isArray {
			copy(dst, src)
		} else {
			putUint(dst, uintOf(src))
		}
	}
	return out
}

// uintOf and putUint are for integers that became wider or narrower.
func uintOf(b []byte) uint64 {
	switch len(b) {
	case 1:
		return uint64(b[0])
	case 2:
		return uint64(binary.NativeEndian.Uint16(b))
	case 4:
		return uint64(binary.NativeEndian.Uint32(b))
	case 8:
		return binary.NativeEndian.Uint64(b)
	}
	return 0
}

func putUint(b []byte, n uint64) {
	switch len(b) {
	case 1:
		b[0] = byte(n)
	case 2:
		binary.NativeEndian.PutUint16(b, uint16(n))
	case 4:
		binary.NativeEndian.PutUint32(b, uint32(n))
	case 8:
		binary.NativeEndian.PutUint64(b, n)
	}
}
