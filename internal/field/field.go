package field

import (
	"fmt"
	"sort"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Path is a place in a configuration, e.g.
// "static_resources.listeners[0].filter_chains[2]".
type Path string

// Dot is the path of a field of the message at p.
func (p Path) Dot(name string) Path {
	if p == "" {
		return Path(name)
	}
	return p + "." + Path(name)
}

// Index is the path of an element of the repeated field at p.
func (p Path) Index(i int) Path { return p + Path("["+strconv.Itoa(i)+"]") }

// Key is the path of a value of the map at p.
func (p Path) Key(k string) Path { return p + Path("["+strconv.Quote(k)+"]") }

// Errorf is an error at p.
func (p Path) Errorf(format string, args ...any) error {
	return &Error{Path: p, Err: fmt.Errorf(format, args...)}
}

// Wrap puts err at p. An error that has a path already keeps it; nil stays nil.
func (p Path) Wrap(err error) error {
	if err == nil {
		return nil
	}
	if e, ok := err.(*Error); ok {
		if e.Path != "" {
			return err
		}
		err = e.Err
	}
	return &Error{Path: p, Err: err}
}

// Error is a configuration error and where it is.
type Error struct {
	Path Path
	Err  error
}

func (e *Error) Error() string {
	if e.Path == "" {
		return e.Err.Error()
	}
	return string(e.Path) + ": " + e.Err.Error()
}

func (e *Error) Unwrap() error { return e.Err }

// Only refuses every populated field of m but those named (protobuf names,
// snake_case). The error lists all that are not supported. A nil m passes.
func Only(p Path, m proto.Message, names ...string) error {
	if m == nil {
		return nil
	}
	var bad []string
	m.ProtoReflect().Range(func(fd protoreflect.FieldDescriptor, _ protoreflect.Value) bool {
		name := string(fd.Name())
		for _, n := range names {
			if n == name {
				return true
			}
		}
		bad = append(bad, name)
		return true
	})
	if len(bad) == 0 {
		return nil
	}
	sort.Strings(bad)
	return p.Errorf("weir does not support %s of %s", strings.Join(bad, ", "), m.ProtoReflect().Descriptor().FullName())
}
