package filterstate

import "github.com/weirproxy/weir/proxy/formatter"

// Values are objects to be set.
type Values []value

type value struct {
	name      string
	format    *formatter.Formatter
	readOnly  bool // stays as it was first set
	skipEmpty bool
}

// Set makes the objects from what c knows and gives them to set; have tells
// whether one is there already.
func (vs Values) Set(c *formatter.Context, have func(name string) bool, set func(name string, object any)) {
	for i := range vs {
		v := &vs[i]
		if v.readOnly && have(v.name) {
			continue
		}
		if text := v.format.Format(c); text != "" || !v.skipEmpty {
			set(v.name, text)
		}
	}
}
