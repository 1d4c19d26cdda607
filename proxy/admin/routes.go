package admin

import (
	"bufio"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

func (s *Server) routes(w http.ResponseWriter, r *http.Request) error {
	if s.sources.Routes == nil {
		return errNotSupported
	}
	tables, err := s.sources.Routes(r.Context())
	if err != nil {
		return err
	}
	if f := r.URL.Query().Get("filter"); f != "" {
		re, err := regexp.Compile(f)
		if err != nil {
			return badRequest("Invalid re2 regex\n")
		}
		tables = slices.DeleteFunc(slices.Clone(tables), func(t RouteTable) bool { return !re.MatchString(t.Name) })
	}
	switch r.URL.Query().Get("format") {
	case "json":
		if tables == nil {
			tables = []RouteTable{}
		}
		return writeJSON(w, struct {
			RouteTables []RouteTable `json:"route_configs"`
		}{tables})
	case "", "text":
	default:
		return badRequest("usage: /routes?format=(json|text)\n")
	}
	b := bufio.NewWriter(w)
	for i := range tables {
		if i > 0 {
			b.WriteByte('\n')
		}
		tables[i].writeTree(b)
	}
	return b.Flush()
}

// writeTree draws virtual_hosts > routes > route entry > weighted clusters.
func (t *RouteTable) writeTree(b *bufio.Writer) {
	notes := []string{t.Source}
	if t.Version != "" {
		notes = append(notes, "version "+t.Version)
	}
	if len(t.Listeners) > 0 {
		notes = append(notes, "used by "+strings.Join(t.Listeners, ", "))
	}
	b.WriteString("route_config " + orUnnamed(t.Name) + " (" + strings.Join(notes, "; ") + ")\n")
	for i := range t.VirtualHosts {
		v := &t.VirtualHosts[i]
		branch, indent := limb("", i == len(t.VirtualHosts)-1)
		b.WriteString(branch + "virtual_host " + orUnnamed(v.Name) + " [" + strings.Join(v.Domains, ", ") + "]\n")
		width := v.matchWidth()
		for j := range v.Routes {
			v.Routes[j].writeTree(b, indent, j == len(v.Routes)-1, width)
		}
	}
}

func (r *Route) writeTree(b *bufio.Writer, indent string, last bool, width int) {
	branch, indent := limb(indent, last)
	b.WriteString(branch + r.label())
	switch {
	case len(r.Clusters) == 1 && r.Action == "":
		b.WriteString(pad(r.label(), width) + " → " + r.Clusters[0].Name)
	case r.Action != "":
		b.WriteString(pad(r.label(), width) + " → " + r.Action)
	}
	b.WriteByte('\n')
	if len(r.Clusters) < 2 && r.Action == "" {
		return
	}
	name, weight := 0, 0
	for _, c := range r.Clusters {
		name = max(name, utf8.RuneCountInString(c.Name))
		weight = max(weight, len(strconv.Itoa(int(c.Weight))))
	}
	for i, c := range r.Clusters {
		branch, _ := limb(indent, i == len(r.Clusters)-1)
		number := strconv.Itoa(int(c.Weight))
		b.WriteString(branch + c.Name + pad(c.Name, name) + "  weight " + strings.Repeat(" ", weight-len(number)) + number + "  " + c.Share + "\n")
	}
}

func (r *Route) label() string {
	if r.Name == "" {
		return r.Match
	}
	return r.Match + " (" + r.Name + ")"
}

// matchWidth aligns the arrows of a virtual host, as far as labels are not too long.
func (v *VirtualHost) matchWidth() int {
	width := 0
	for i := range v.Routes {
		if n := utf8.RuneCountInString(v.Routes[i].label()); n <= 48 {
			width = max(width, n)
		}
	}
	return width
}

// limb is the start of a line of the tree, and that of the lines below it.
func limb(indent string, last bool) (branch, below string) {
	if last {
		return indent + "└─ ", indent + "   "
	}
	return indent + "├─ ", indent + "│  "
}

func pad(s string, width int) string {
	return strings.Repeat(" ", max(0, width-utf8.RuneCountInString(s)))
}

func orUnnamed(s string) string {
	if s == "" {
		return "(unnamed)"
	}
	return s
}
