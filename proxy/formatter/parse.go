package formatter

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/weirproxy/weir/internal/field"
)

// Options changes how a format is compiled. The zero value is Envoy's default.
type Options struct {
	// OmitEmptyValues prints nothing instead of "-" for a missing value and
	// leaves missing values out of JSON (SubstitutionFormatString.omit_empty_values).
	OmitEmptyValues bool
	// Commands are further operators by name, from formatter extensions.
	Commands Commands
}

// Compile compiles a format string. An error names the operator and its
// column, which counts bytes from 1.
func Compile(path field.Path, s string) (*Formatter, error) {
	return CompileWith(path, s, Options{})
}

// CompileHeader compiles a header's value: a missing one leaves nothing behind,
// and when the whole comes out empty, the header is not added (unless
// HeaderValueOption.keep_empty_value).
func CompileHeader(path field.Path, s string) (*Formatter, error) {
	return CompileWith(path, s, Options{OmitEmptyValues: true})
}

// CompileWith is Compile with options.
func CompileWith(path field.Path, s string, o Options) (*Formatter, error) {
	elements, err := parse(s, o.Commands)
	if err != nil {
		return nil, path.Wrap(err)
	}
	f := &Formatter{elements: elements, empty: "-"}
	if o.OmitEmptyValues {
		f.empty = ""
	}
	return f, nil
}

// maxFormat bounds a format string, so that hostile configuration can't make
// parsing quadratic in earnest.
const maxFormat = 64 << 10

func parse(s string, extra Commands) ([]element, error) {
	if len(s) > maxFormat {
		return nil, fmt.Errorf("the format string has %d bytes; the limit is %d", len(s), maxFormat)
	}
	var out []element
	var plain strings.Builder
	flush := func() {
		if plain.Len() > 0 {
			out = append(out, element{text: plain.String()})
			plain.Reset()
		}
	}
	for i := 0; i < len(s); {
		if s[i] != '%' {
			next := strings.IndexByte(s[i:], '%')
			if next < 0 {
				next = len(s) - i
			}
			plain.WriteString(s[i : i+next])
			i += next
			continue
		}
		if strings.HasPrefix(s[i:], "%%") {
			plain.WriteByte('%')
			i += 2
			continue
		}
		call, ok := parseCall(s[i:])
		if !ok {
			return nil, fmt.Errorf("column %d: %q is not an operator; write %%NAME%%, %%NAME(parameter)%% or %%NAME(parameter):length%%, and %%%% for a percent sign", i+1, excerpt(s[i:]))
		}
		op, err := call.compile(extra)
		if err != nil {
			return nil, fmt.Errorf("column %d: operator %s: %w", i+1, call.name, err)
		}
		flush()
		out = append(out, element{op: op, max: call.max})
		i += call.size
	}
	flush()
	return out, nil
}

func excerpt(s string) string {
	if len(s) > 32 {
		return s[:32] + "..."
	}
	return s
}

// call is an operator as it is written: %NAME(param):max%.
type call struct {
	name  string
	param string
	max   int // -1: no length
	size  int // bytes of the whole
}

// parseCall parses what Envoy does by the regular expression
// ^%((?:[A-Z]|[0-9]|_)+)(?:\((.*?)\))?(?::([0-9]+))?% : the parameter ends at
// the first parenthesis after which the rest fits.
func parseCall(s string) (call, bool) {
	i := 1
	for i < len(s) && (s[i] >= 'A' && s[i] <= 'Z' || s[i] >= '0' && s[i] <= '9' || s[i] == '_') {
		i++
	}
	c := call{name: s[1:i], max: -1}
	if c.name == "" || i == len(s) {
		return c, false
	}
	if s[i] != '(' {
		n, ok := c.parseEnd(s[i:])
		c.size = i + n
		return c, ok
	}
	start := i + 1
	for i = start; i < len(s) && s[i] != '\n'; i++ {
		if s[i] != ')' {
			continue
		}
		if n, ok := c.parseEnd(s[i+1:]); ok {
			c.param = s[start:i]
			c.size = i + 1 + n
			return c, true
		}
	}
	return c, false
}

// parseEnd parses the optional length and the closing percent sign.
func (c *call) parseEnd(s string) (n int, ok bool) {
	if strings.HasPrefix(s, "%") {
		return 1, true
	}
	if !strings.HasPrefix(s, ":") {
		return 0, false
	}
	end := strings.IndexByte(s, '%')
	if end < 2 || end > 19 {
		return 0, false
	}
	max, err := strconv.ParseUint(s[1:end], 10, 63)
	if err != nil {
		return 0, false
	}
	c.max = int(max)
	return end + 1, true
}

// compile makes the operator; keeping to the length is the caller's.
func (c *call) compile(extra Commands) (operator, error) {
	cmd, ok := extra[c.name]
	if !ok {
		if cmd, ok = commands[c.name]; !ok {
			if reason, known := refused[c.name]; known {
				return nil, fmt.Errorf("%s", reason)
			}
			return nil, fmt.Errorf("there is no such operator")
		}
	}
	switch {
	case cmd.params == noParam && (c.param != "" || c.max >= 0):
		return nil, fmt.Errorf("it takes no parameter and no length")
	case cmd.params == needsParam && c.param == "":
		return nil, fmt.Errorf("it needs a parameter")
	case !cmd.length && c.max >= 0:
		return nil, fmt.Errorf("it takes no length")
	}
	var op operator
	var err error
	if cmd.make == nil { // COALESCE, whose parameter names other operators
		op, err = compileCoalesce(c.param, extra)
	} else {
		op, err = cmd.make(c.param)
	}
	return op, err
}
