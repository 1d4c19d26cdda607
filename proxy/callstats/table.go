package callstats

import (
	"strings"

	"github.com/weirproxy/weir/proxy/stats"
)

// MaxMethods bounds the methods that a table has statistics of.
const MaxMethods = 4096

// Table is one worker's statistics of calls.
type Table struct {
	store    *stats.Store
	worker   int
	protocol string // "grpc", "grpc-web"
	clusters map[string]*cluster
	methods  int
}

type cluster struct {
	all     *Stats
	methods map[string]*Stats // by name in statistics
	groups  []*stats.Group[Stats]
}

// NewTable makes an empty table of the worker's.
func NewTable(store *stats.Store, worker int, protocol string) *Table {
	return &Table{store: store, worker: worker, protocol: protocol, clusters: map[string]*cluster{}}
}

// Cluster are the statistics of all calls to a cluster, by the name that it
// has in statistics.
func (t *Table) Cluster(name string) *Stats {
	c := t.cluster(name)
	if c.all == nil {
		c.all = t.open(c, "cluster."+name+"."+t.protocol+".")
	}
	return c.all
}

// Method are the statistics of one method; nil when there are too many.
func (t *Table) Method(name string, m Method) *Stats {
	c := t.cluster(name)
	if s := c.methods[m.path]; s != nil {
		return s
	}
	if t.methods >= MaxMethods {
		return nil
	}
	t.methods++
	path := strings.Clone(m.path)
	s := t.open(c, "cluster."+name+"."+t.protocol+"."+m.name()+".")
	c.methods[path] = s
	return s
}

func (t *Table) cluster(name string) *cluster {
	c := t.clusters[name]
	if c == nil {
		c = &cluster{methods: map[string]*Stats{}}
		t.clusters[strings.Clone(name)] = c
	}
	return c
}

func (t *Table) open(c *cluster, prefix string) *Stats {
	g := stats.NewGroup[Stats](t.store, stats.Scope{Prefix: prefix})
	c.groups = append(c.groups, g)
	return g.For(t.worker)
}

// Close takes the statistics off the pages.
func (t *Table) Close() {
	for _, c := range t.clusters {
		for _, g := range c.groups {
			g.Close()
		}
	}
}

// Method is a gRPC method.
type Method struct {
	path          string // "/package.Service/Method"
	Service, Name string
	replaceDots   bool
}

// ParseMethod takes apart a request's path; ok is false when it does not name
// a method.
func ParseMethod(path string) (m Method, ok bool) {
	if i := strings.IndexByte(path, '?'); i >= 0 {
		path = path[:i]
	}
	service, name, ok := strings.Cut(strings.Trim(path, "/"), "/")
	if !ok || service == "" || strings.IndexByte(name, '/') >= 0 {
		return m, false
	}
	return Method{path: path, Service: service, Name: name}, true
}

// ReplaceDots has the service's dots become underscores in statistics.
func (m Method) ReplaceDots() Method {
	m.replaceDots = true
	return m
}

func (m *Method) name() string {
	if m.replaceDots {
		return strings.ReplaceAll(m.Service, ".", "_") + "." + m.Name
	}
	return m.Service + "." + m.Name
}
