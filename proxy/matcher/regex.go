package matcher

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"strconv"
	"strings"
)

// maxProgram bounds a compiled expression, in instructions: what one regular
// expression may cost in memory and in time per byte matched.
const maxProgram = 32 << 10

// Regexes compiles regular expressions and shares those that are the same
// text, for the time of one configuration's compilation. A nil *Regexes
// compiles each anew. It is not safe for concurrent use.
type Regexes struct {
	full map[string]*regexp.Regexp
	part map[string]*regexp.Regexp
}

// NewRegexes makes an empty set.
func NewRegexes() *Regexes {
	return &Regexes{full: map[string]*regexp.Regexp{}, part: map[string]*regexp.Regexp{}}
}

// full is the expression that matches only whole strings.
func (r *Regexes) fullMatch(expr string, limit int) (*regexp.Regexp, error) {
	if r == nil {
		return compile(expr, `\A(?:`+expr+`)\z`, limit)
	}
	return shared(r.full, expr, `\A(?:`+expr+`)\z`, limit)
}

// partial is the expression as it stands, for substitutions.
func (r *Regexes) partial(expr string, limit int) (*regexp.Regexp, error) {
	if r == nil {
		return compile(expr, expr, limit)
	}
	return shared(r.part, expr, expr, limit)
}

func shared(m map[string]*regexp.Regexp, expr, whole string, limit int) (*regexp.Regexp, error) {
	if re := m[expr]; re != nil && limit == maxProgram {
		return re, nil
	}
	re, err := compile(expr, whole, limit)
	if err == nil {
		m[expr] = re
	}
	return re, err
}

// compile checks expr on its own first, so that one with unbalanced brackets
// is not made valid by what is put around it.
func compile(expr, whole string, limit int) (*regexp.Regexp, error) {
	tree, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return nil, fmt.Errorf("bad regular expression %q: %w", expr, err)
	}
	prog, err := syntax.Compile(tree.Simplify())
	if err != nil {
		return nil, fmt.Errorf("bad regular expression %q: %w", expr, err)
	}
	if n := len(prog.Inst); n > limit {
		return nil, fmt.Errorf("regular expression %.64q compiles to %d instructions, more than the %d allowed", expr, n, limit)
	}
	return regexp.Compile(whole)
}

// Substitution is a compiled RegexMatchAndSubstitute.
type Substitution struct {
	re       *regexp.Regexp
	template string // in regexp.Expand's form
	void     bool   // the template names a group that the pattern lacks
}

// Replace returns s with each match of the pattern substituted. It allocates.
func (s *Substitution) Replace(in string) string {
	if s.void { // RE2 leaves the string then
		return in
	}
	return s.re.ReplaceAllString(in, s.template)
}

// newSubstitution translates RE2's \0 to \9 and \\ into Go's template.
func newSubstitution(re *regexp.Regexp, rewrite string) (*Substitution, error) {
	var b strings.Builder
	s := &Substitution{re: re}
	for i := 0; i < len(rewrite); i++ {
		switch c := rewrite[i]; {
		case c == '$':
			b.WriteString("$$")
		case c != '\\':
			b.WriteByte(c)
		case i+1 < len(rewrite) && rewrite[i+1] == '\\':
			b.WriteByte('\\')
			i++
		case i+1 < len(rewrite) && rewrite[i+1] >= '0' && rewrite[i+1] <= '9':
			i++
			group := int(rewrite[i] - '0')
			s.void = s.void || group > re.NumSubexp()
			b.WriteString("${" + strconv.Itoa(group) + "}")
		default:
			return nil, fmt.Errorf(`substitution %q: a backslash must be followed by a digit or a backslash`, rewrite)
		}
	}
	s.template = b.String()
	return s, nil
}
