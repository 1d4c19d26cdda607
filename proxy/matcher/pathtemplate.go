package matcher

import (
	"fmt"
	"regexp"
	"strings"
)

// A path template (envoy.path.match.uri_template) is a path whose segments
// may be *, which stands for one segment, or **, which stands for any number
// and can only come last, and parts of which may be named: {name}, which is
// {name=*}, or {name=a/*/b}.

// Envoy's bounds.
const (
	maxTemplateVariables = 5
	maxVariableName      = 16
)

var (
	templateLiteral  = regexp.MustCompile(`^[a-zA-Z0-9\-._~%!$&'()+,;:@=]+`)
	templateVariable = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9_]*$`)
)

const (
	segmentPattern = `[a-zA-Z0-9\-._~%!$&'()*+,;:@=]+`
	restPattern    = `[a-zA-Z0-9\-._~%!$&'()*+,;:@=/]*`
)

// PathTemplate is the regular expression of a template; its named groups are
// the template's variables.
func PathTemplate(template string) (string, error) {
	c := templateCompiler{rest: template}
	if !strings.HasPrefix(template, "/") {
		return "", fmt.Errorf("the template %q must begin with /", template)
	}
	for c.rest != "" {
		var err error
		switch {
		case c.rest[0] == '{':
			err = c.variable()
		default:
			err = c.piece()
		}
		if err != nil {
			return "", fmt.Errorf("the template %q: %w", template, err)
		}
	}
	return c.out.String(), nil
}

type templateCompiler struct {
	rest  string
	out   strings.Builder
	names []string
	over  bool // ** was seen
}

// piece takes a slash, a glob or literal text.
func (c *templateCompiler) piece() error {
	take := func(n int, pattern string) { c.rest = c.rest[n:]; c.out.WriteString(pattern) }
	glob := c.rest[0] == '*'
	if c.over && (glob || c.rest[0] == '{') {
		return fmt.Errorf("nothing but text may follow **")
	}
	switch {
	case strings.HasPrefix(c.rest, "//"):
		return fmt.Errorf("an empty segment")
	case c.rest[0] == '/':
		take(1, "/")
	case strings.HasPrefix(c.rest, "**"):
		c.over = true
		take(2, restPattern)
	case glob:
		take(1, segmentPattern)
	default:
		text := templateLiteral.FindString(c.rest)
		if text == "" {
			return fmt.Errorf("%q is not allowed", c.rest[:1])
		}
		take(len(text), regexp.QuoteMeta(text))
	}
	return nil
}

// variable takes {name} or {name=pattern}.
func (c *templateCompiler) variable() error {
	inner, after, ok := strings.Cut(c.rest[1:], "}")
	if !ok {
		return fmt.Errorf("a { without its }")
	}
	name, pattern, given := strings.Cut(inner, "=")
	if !given {
		pattern = "*"
	}
	switch {
	case !templateVariable.MatchString(name) || len(name) > maxVariableName:
		return fmt.Errorf("%q is not a variable's name", name)
	case pattern == "":
		return fmt.Errorf("the variable %s has an empty pattern", name)
	case len(c.names) == maxTemplateVariables:
		return fmt.Errorf("more than %d variables", maxTemplateVariables)
	}
	for _, n := range c.names {
		if n == name {
			return fmt.Errorf("the variable %s appears twice", name)
		}
	}
	c.names = append(c.names, name)
	c.out.WriteString("(?P<" + name + ">")
	c.rest = pattern
	for c.rest != "" {
		if err := c.piece(); err != nil {
			return err
		}
	}
	c.out.WriteString(")")
	c.rest = after
	return nil
}
