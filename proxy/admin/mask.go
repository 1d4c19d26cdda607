package admin

import (
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"
)

// mask is a tree of field names; a leaf keeps all that is below it.
type mask map[protoreflect.Name]mask

// parseMask reads a FieldMask: "bootstrap.node,static_listeners". Paths that
// m's type doesn't have are left out.
func parseMask(paths string, md protoreflect.MessageDescriptor) mask {
	tree := mask{}
	for _, path := range strings.Split(paths, ",") {
		if names := strings.Split(path, "."); hasPath(md, names) {
			tree.add(names)
		}
	}
	return tree
}

// hasPath says whether the type has the path; what is inside an Any isn't known yet.
func hasPath(md protoreflect.MessageDescriptor, names []string) bool {
	for i, name := range names {
		if md == nil {
			return false
		}
		if i > 0 && md.FullName() == "google.protobuf.Any" {
			return true
		}
		fd := md.Fields().ByName(protoreflect.Name(name))
		if fd == nil || fd.IsMap() && i < len(names)-1 {
			return false
		}
		md = fd.Message()
	}
	return true
}

func (t mask) add(names []string) {
	for _, name := range names {
		if t[protoreflect.Name(name)] == nil {
			t[protoreflect.Name(name)] = mask{}
		}
		t = t[protoreflect.Name(name)]
	}
}

// trim clears all fields of m that the mask doesn't name.
func (t mask) trim(m protoreflect.Message) {
	if packed, ok := m.Interface().(*anypb.Any); ok {
		if inner, err := packed.UnmarshalNew(); err == nil {
			t.trim(inner.ProtoReflect())
			url := packed.TypeUrl
			if packed.MarshalFrom(inner) == nil {
				packed.TypeUrl = url
			}
		}
		return
	}
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		below, kept := t[fd.Name()]
		switch {
		case !kept:
			m.Clear(fd)
		case len(below) == 0 || fd.Message() == nil || fd.IsMap():
		case fd.IsList():
			for i := range v.List().Len() {
				below.trim(v.List().Get(i).Message())
			}
		default:
			below.trim(v.Message())
		}
		return true
	})
}
