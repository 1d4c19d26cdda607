package oauth2

import (
	"slices"
	"strings"

	"github.com/weirproxy/weir/proxy/http"
)

// jar is a request's cookies, each name once, in order.
type jar []pair

type pair struct{ name, value string }

// readJar reads the cookies of all lines. Of two with one name the first
// counts; quotes around a value are dropped.
func readJar(h *http.HeaderMap) jar {
	var j jar
	seen := map[string]bool{}
	for l := range h.All {
		if l.ID != http.Cookie {
			continue
		}
		for part := range strings.SplitSeq(l.Value, ";") {
			name, value, ok := strings.Cut(part, "=")
			if !ok {
				continue
			}
			name, value = strings.TrimLeft(name, " \t"), strings.TrimRight(value, " \t")
			if len(value) >= 2 && value[0] == '"' && value[len(value)-1] == '"' {
				value = value[1 : len(value)-1]
			}
			if !seen[name] {
				seen[name] = true
				j = append(j, pair{name, value})
			}
		}
	}
	return j
}

func (j jar) find(name string) int {
	return slices.IndexFunc(j, func(p pair) bool { return p.name == name })
}

func (j jar) has(name string) bool { return j.find(name) >= 0 }

// get is a cookie's value, "" for none.
func (j jar) get(name string) string {
	if i := j.find(name); i >= 0 {
		return j[i].value
	}
	return ""
}

func (j *jar) set(name, value string) {
	if i := j.find(name); i >= 0 {
		(*j)[i].value = value
		return
	}
	*j = append(*j, pair{name, value})
}

func (j *jar) remove(drop func(name string) bool) {
	*j = slices.DeleteFunc(*j, func(p pair) bool { return drop(p.name) })
}

// write replaces the request's cookies.
func (j jar) write(h *http.HeaderMap) {
	parts := make([]string, len(j))
	for i, p := range j {
		parts[i] = p.name + "=" + p.value
	}
	h.Remove(http.Cookie)
	h.Add(http.Cookie, h.Own(strings.Join(parts, "; ")))
}
