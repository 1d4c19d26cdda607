package admin

import (
	"context"
	_ "embed"
	"html/template"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/weirproxy/weir/proxy/stats"
)

//go:embed home.html
var homeHTML string

var homeTemplate = sync.OnceValue(func() *template.Template { return template.Must(template.New("home").Parse(homeHTML)) })

// homePage is what the template shows.
type homePage struct {
	State         State
	Version, Node string
	Figures       []figure
	Pages         []homeEntry
	Actions       []homeEntry
}

type figure struct{ Name, Value, Link string }

type homeEntry struct {
	Path, Link, Help, Method string
	Params                   []homeParam
}

type homeParam struct {
	Name, Help string
	Choices    []string
	Flag       bool
}

// flags are the parameters that only have to be there.
var flags = []string{"usedonly", "invert_filter", "text_readouts", "include_eds", "graceful", "skip_exit", "inboundonly"}

func (s *Server) home(w http.ResponseWriter, r *http.Request) error {
	var page homePage
	if s.sources.State != nil {
		page.State = s.sources.State()
	}
	if s.sources.ServerInfo != nil {
		info := s.sources.ServerInfo().ProtoReflect()
		page.Version = stringField(info, "version")
		if node := messageField(info, "node"); node != nil {
			page.Node = stringField(node, "id")
		}
		if up := messageField(info, "uptime_current_epoch"); up != nil {
			if d, ok := up.Interface().(*durationpb.Duration); ok {
				page.Figures = append(page.Figures, figure{"uptime", d.AsDuration().Truncate(time.Second).String(), "server_info"})
			}
		}
	}
	page.Figures = append(page.Figures, s.figures(r.Context())...)
	for i := range s.list {
		c := &s.list[i]
		// Links are relative, so that the page works behind a path of another server.
		e := homeEntry{Path: c.path, Link: strings.TrimPrefix(c.path, "/"), Help: c.help, Method: "get"}
		for _, p := range c.params {
			e.Params = append(e.Params, homeParam{p.name, p.help, p.choices, slices.Contains(flags, p.name)})
		}
		switch {
		case c.path == "/":
		case c.mutates:
			e.Method = "post"
			page.Actions = append(page.Actions, e)
		default:
			page.Pages = append(page.Pages, e)
		}
	}
	w.Header().Set("Content-Type", "text/html; charset=UTF-8")
	return homeTemplate().Execute(w, page)
}

var (
	connections        = regexp.MustCompile(`^listener\..*\.downstream_cx_active$`)
	connectionsAgain   = regexp.MustCompile(`^listener\.(admin|.*\.(worker_\d+|main_thread))\.downstream_cx_active$`) // by thread
	downstreamRequests = regexp.MustCompile(`^http\..*\.downstream_rq_total$`)
	serverErrors       = regexp.MustCompile(`^http\..*\.downstream_rq_5xx$`)
)

// figures are those at the top; what can't be had in a moment is left out.
func (s *Server) figures(ctx context.Context) []figure {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	var out []figure
	add := func(name string, n int64, link string) {
		out = append(out, figure{name, strconv.FormatInt(n, 10), link})
	}
	if s.sources.Listeners != nil {
		if listeners, err := s.sources.Listeners(ctx); err == nil {
			add("listeners", int64(len(listeners)), "listeners")
		}
	}
	if s.sources.Clusters != nil {
		if clusters, err := s.sources.Clusters(ctx); err == nil {
			healthy, hosts := 0, 0
			for i := range clusters {
				for h := range clusters[i].Hosts {
					hosts++
					if clusters[i].Hosts[h].Health == 0 {
						healthy++
					}
				}
			}
			add("clusters", int64(len(clusters)), "clusters")
			out = append(out, figure{"healthy hosts", strconv.Itoa(healthy) + " of " + strconv.Itoa(hosts), "clusters"})
		}
	}
	if s.sources.Stats != nil {
		if snapshot, err := s.sources.Stats.Snapshot(ctx); err == nil {
			add("open connections", snapshot.Sum(connections)-snapshot.Sum(connectionsAgain), "stats?filter=downstream_cx")
			add("requests", snapshot.Sum(downstreamRequests), "stats?filter=downstream_rq")
			add("5xx answers", snapshot.Sum(serverErrors), "stats?filter=5xx")
		}
	}
	return out
}

func stringField(m protoreflect.Message, name protoreflect.Name) string {
	if fd := m.Descriptor().Fields().ByName(name); fd != nil && fd.Kind() == protoreflect.StringKind {
		return m.Get(fd).String()
	}
	return ""
}

func messageField(m protoreflect.Message, name protoreflect.Name) protoreflect.Message {
	if fd := m.Descriptor().Fields().ByName(name); fd != nil && fd.Message() != nil && m.Has(fd) {
		return m.Get(fd).Message()
	}
	return nil
}

// statsTemplate is /stats?format=html: a filter to type into and the text page.
var statsTemplate = sync.OnceValue(func() *template.Template {
	return template.Must(template.New("stats").Parse(`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
{{if .Refresh}}<meta http-equiv="refresh" content="5">
{{end}}<title>weir · stats</title>
<style>:root { color-scheme: light dark } body { font: 15px/1.4 system-ui, sans-serif; margin: 1.5rem } pre { font-size: 13px }</style>
</head>
<body>
<form><input type="hidden" name="format" value="{{.Format}}">
<input name="filter" value="{{.Filter}}" placeholder="regular expression" size="40" autofocus>
<label><input type="checkbox" name="usedonly"{{if .UsedOnly}} checked{{end}}> used only</label>
<button>filter</button></form>
<pre>{{.Text}}</pre>
</body>
</html>
`))
})

func (s *Server) statsPage(w http.ResponseWriter, r *http.Request, snapshot *stats.Snapshot, options stats.Options) error {
	var text strings.Builder
	if err := snapshot.WriteText(&text, options); err != nil {
		return err
	}
	q := r.URL.Query()
	w.Header().Set("Content-Type", "text/html; charset=UTF-8")
	return statsTemplate().Execute(w, map[string]any{
		"Refresh":  q.Get("format") == "active-html",
		"Format":   q.Get("format"),
		"Filter":   q.Get("filter"),
		"UsedOnly": options.UsedOnly,
		"Text":     text.String(),
	})
}
