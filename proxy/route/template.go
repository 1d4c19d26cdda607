package route

import (
	"fmt"
	"regexp"
	"strings"
)

// templateRewrite makes a path of the variables of a template.
type templateRewrite struct {
	match *regexp.Regexp
	parts []templatePart
}

// templatePart is text, or else the number of a variable.
type templatePart struct {
	text  string
	group int
}

// newTemplateRewrite compiles the rewriting of what pattern, made by
// matcher.PathTemplate, matches.
func newTemplateRewrite(pattern, to string) (*templateRewrite, error) {
	re, err := regexp.Compile("^(?:" + pattern + ")$")
	if err != nil {
		return nil, err
	}
	if !strings.HasPrefix(to, "/") {
		return nil, fmt.Errorf("the rewrite %q must begin with /", to)
	}
	w := &templateRewrite{match: re}
	for rest := to; rest != ""; {
		text, after, found := strings.Cut(rest, "{")
		if strings.ContainsAny(text, "}*?#") || strings.Contains(text, "//") {
			return nil, fmt.Errorf("the rewrite %q has text that is not a path's", to)
		}
		if text != "" {
			w.parts = append(w.parts, templatePart{text: text})
		}
		if !found {
			break
		}
		name, tail, closed := strings.Cut(after, "}")
		group := re.SubexpIndex(name)
		if !closed || group < 0 {
			return nil, fmt.Errorf("the rewrite %q has a variable that the template has not", to)
		}
		w.parts = append(w.parts, templatePart{group: group})
		rest = tail
	}
	return w, nil
}

// path is the new path; "" when path does not match.
func (w *templateRewrite) path(path string) string {
	m := w.match.FindStringSubmatch(path)
	if m == nil {
		return ""
	}
	var b strings.Builder
	for _, p := range w.parts {
		if p.group == 0 {
			b.WriteString(p.text)
		} else {
			b.WriteString(m[p.group])
		}
	}
	return b.String()
}
