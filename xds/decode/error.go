package decode

import (
	"fmt"

	"github.com/weirproxy/weir/internal/field"
)

// Error is why a document was refused and where.
type Error struct {
	Line int        // in the document, from 1; 0: not known
	Path field.Path // of the field; empty for a syntax error
	Err  error
}

func (e *Error) Error() string {
	s := e.Err.Error()
	if e.Path != "" {
		s = string(e.Path) + ": " + s
	}
	if e.Line > 0 {
		s = fmt.Sprintf("line %d: %s", e.Line, s)
	}
	return s
}

// In is the error with the file's name in front, as editors and compilers
// write it: "bootstrap.yaml:12: node.foo: no such field in …".
func (e *Error) In(file string) error { return &fileError{file, e} }

func (e *Error) Unwrap() error { return e.Err }

type fileError struct {
	file string
	err  *Error
}

func (e *fileError) Error() string {
	at := e.file
	if e.err.Line > 0 {
		at = fmt.Sprintf("%s:%d", e.file, e.err.Line)
	}
	if e.err.Path != "" {
		at += ": " + string(e.err.Path)
	}
	return at + ": " + e.err.Err.Error()
}

func (e *fileError) Unwrap() error { return e.err }
