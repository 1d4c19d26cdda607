package formatter

import (
	"time"

	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/streaminfo"
)

// Context is what a format is filled in from.
type Context struct {
	Info *streaminfo.Info // required

	// The header maps are nil where there are none.
	RequestHeaders   *http.HeaderMap
	ResponseHeaders  *http.HeaderMap
	ResponseTrailers *http.HeaderMap

	Now            time.Duration // the worker's monotonic clock
	Time           time.Time     // the worker's wall clock
	LocalReplyBody string
}

// Formatter is a compiled format. It is immutable and shared by workers.
type Formatter struct {
	elements []element
	json     *object // instead of elements
	empty    string  // stands for a missing value in text
	omit     bool    // leaves empty values out of JSON
}

// element is a piece of text or an operator.
type element struct {
	text string
	op   operator // nil: text
	max  int      // bytes of the operator's value; -1: all
}

// kind tells what an operator has appended.
type kind uint8

const (
	none    kind = iota // nothing: "-" in text, null in JSON
	text                // a string
	literal             // another JSON value: a number, bool, object or list
)

// operator appends its value to dst.
type operator func(dst []byte, c *Context) ([]byte, kind)

// Append appends the filled-in format to dst. JSON ends with a newline.
func (f *Formatter) Append(dst []byte, c *Context) []byte {
	if f.json != nil {
		dst, _ = f.json.append(dst, c, f)
		return append(dst, '\n')
	}
	return appendElements(dst, f.elements, c, f.empty)
}

func appendElements(dst []byte, elements []element, c *Context, empty string) []byte {
	for i := range elements {
		e := &elements[i]
		if e.op == nil {
			dst = append(dst, e.text...)
			continue
		}
		start := len(dst)
		var k kind
		if dst, k = e.op(dst, c); k == none {
			dst = append(dst[:start], empty...)
		} else if e.max >= 0 && len(dst)-start > e.max {
			dst = dst[:start+e.max]
		}
	}
	return dst
}

// cut keeps a string that starts at start in dst to the element's length. As
// JSON values, numbers, objects and lists stay whole.
func (e *element) cut(dst []byte, start int, k kind) []byte {
	if k == text && e.max >= 0 && len(dst)-start > e.max {
		return dst[:start+e.max]
	}
	return dst
}

// Format is Append into a new string.
func (f *Formatter) Format(c *Context) string { return string(f.Append(nil, c)) }

// Static is the format's text when it has no operators.
func (f *Formatter) Static() (string, bool) {
	switch {
	case f.json != nil:
		return "", false
	case len(f.elements) == 0:
		return "", true
	case len(f.elements) == 1 && f.elements[0].op == nil:
		return f.elements[0].text, true
	}
	return "", false
}
