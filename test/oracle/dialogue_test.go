//go:build oracle

package oracle

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/anypb"
	"sigs.k8s.io/yaml"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"

	"github.com/weirproxy/weir/internal/testbinary"
)

// dialogue is a script of what a control plane says and clients ask; both
// proxies must do the same, step by step. It runs once for each API.
type dialogue struct {
	Name      string         `json:"name"`
	APIs      []string       `json:"apis"`      // GRPC and DELTA_GRPC when not given; {{api}} in what follows
	Bootstrap object         `json:"bootstrap"` // further fields; the cluster xds is there
	Files     map[string]any `json:"files"`     // as those of cases
	Early     bool           `json:"early"`     // steps begin before the proxy is ready
	Steps     []turn         `json:"steps"`
	Stats     string         `json:"stats"` // what is compared at the end: names, a regular expression
	Skip      string         `json:"skip"`  // lines that are not compared, likewise
}

// turn is one step; what comes of it is compared. Each may do any of these.
type turn struct {
	Say     string            `json:"say"`     // a type and a version: "Cluster v1"
	Add     []object          `json:"add"`     // resources of it
	Remove  []string          `json:"remove"`  // of delta
	End     bool              `json:"end"`     // the control plane ends its streams
	Files   map[string]any    `json:"files"`   // written
	Content map[string]string `json:"content"` // files as they are
	Wait    float64           `json:"wait"`    // seconds without a request of the proxy before the step goes on; 0.15
	Get     *request          `json:"get"`
	Page    string            `json:"page"` // of admin: /path
	Stats   string            `json:"stats"`
}

// apply does the step and gives what it brought about.
func (s *turn) apply(t *testing.T, c *controlPlane, p *proxy, api string, clean cleaner, i int) []string {
	var out []string
	if err := p.write(s.Files); err != nil {
		t.Fatal(err)
	}
	for name, text := range s.Content {
		path := filepath.Join(p.dir, name)
		if err := os.WriteFile(path+".new", []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
	}
	switch {
	case s.Say != "":
		c.say(t, s, fmt.Sprint("n", i), p, api)
	case s.End:
		c.end()
	}
	quiet := 150 * time.Millisecond
	if s.Wait > 0 {
		quiet = time.Duration(s.Wait * float64(time.Second))
	}
	out = append(out, c.quiet(quiet)...)
	if s.Get != nil {
		a := s.Get.send(p, s.Get.TLS != nil)[0]
		clean.answer(&a)
		server := ""
		if a.Upstream != nil {
			server = a.Upstream.Server
		}
		line := fmt.Sprintf("%d %s%s%s", a.Status, server, a.Body, a.End)
		if a.TLS != nil {
			b, _ := json.Marshal(a.TLS)
			line += string(b)
		}
		out = append(out, line)
	}
	if s.Page != "" {
		out = append(out, s.page(p, clean)...)
	}
	if s.Stats != "" {
		out = append(out, p.matching(t, s.Stats)...)
	}
	return out
}

// settled is a JSON page without what differs each time, or is the proxy's own:
// the bootstrap, times and the texts of errors.
func settled(body string) string {
	var v object
	if json.Unmarshal([]byte(body), &v) != nil {
		return body
	}
	if configs, ok := v["configs"].([]any); ok {
		v["configs"] = slices.DeleteFunc(configs, func(c any) bool {
			kind, _ := c.(object)["@type"].(string)
			return strings.HasSuffix(kind, ".BootstrapConfigDump")
		})
	}
	drop(v)
	b, _ := json.MarshalIndent(v, "", " ")
	return string(b)
}

func drop(v any) {
	switch v := v.(type) {
	case object:
		for _, k := range []string{"last_updated", "last_update_attempt", "details"} {
			if _, ok := v[k].(string); ok {
				v[k] = "…"
			}
		}
		for _, e := range v {
			drop(e)
		}
	case []any:
		for _, e := range v {
			drop(e)
		}
	}
}

// page is an admin page, by lines.
func (s *turn) page(p *proxy, clean cleaner) []string {
	m, err := p.adminAnswer("GET", s.Page)
	if err != nil {
		return []string{err.Error()}
	}
	text := strings.NewReplacer(p.dir, "<dir>", fmt.Sprint(p.xds), "<xds>").Replace(clean.text(settled(m.Body)))
	return append([]string{fmt.Sprint(s.Page, " ", m.status())}, strings.Split(strings.TrimRight(text, "\n"), "\n")...)
}

// timed are statistics that tell of times.
var timed = regexp.MustCompile(`_time(_ms)?$|_duration$|length_ms$`)

// matching are the statistics whose names match.
func (p *proxy) matching(t *testing.T, names string) (out []string) {
	_, body, err := p.page("/stats")
	if err != nil {
		t.Fatal(err)
	}
	re := regexp.MustCompile(names)
	for line := range strings.Lines(body) {
		name, _, _ := strings.Cut(line, ": ")
		if re.MatchString(name) && !timed.MatchString(name) {
			out = append(out, strings.ReplaceAll(strings.TrimSpace(line), fmt.Sprint(p.port), "<port>"))
		}
	}
	return out
}

func (d *dialogue) run(t *testing.T, p *proxy, api string) (out []string) {
	c := newControlPlane()
	p.xds = serve(t, nil, c.options()...)
	if err := p.write(d.Files); err != nil {
		t.Fatal(err)
	}
	b := strings.ReplaceAll(string(d.json(p)), "{{api}}", api)
	started := make(chan error, 1)
	go func() { started <- p.start([]byte(fill(b, p))) }()
	if !d.Early {
		if err := <-started; err != nil {
			t.Fatal(err)
		}
	}
	if d.Early {
		c.first()
	}
	clean := (&testCase{}).cleaner(p)
	for i, step := range append([]turn{{Wait: 0.3}}, d.Steps...) {
		lines := step.apply(t, c, p, api, clean, i)
		if step.Page == "" { // the order of types is free
			slices.SortStableFunc(lines, func(a, b string) int { return strings.Compare(firstWord(a), firstWord(b)) })
		}
		for _, l := range lines {
			out = append(out, fmt.Sprintf("%d %s", i, l))
		}
	}
	if d.Early {
		if err := <-started; err != nil {
			t.Fatal(err)
		}
	}
	if d.Stats != "" {
		out = append(out, p.matching(t, d.Stats)...)
	}
	if err := p.stop(); err != nil {
		t.Error(err)
	}
	c.end()
	if d.Skip != "" {
		skip := regexp.MustCompile(d.Skip)
		out = slices.DeleteFunc(out, skip.MatchString)
	}
	return out
}

func firstWord(s string) string { return strings.SplitN(s, " ", 2)[0] }

func (d *dialogue) json(p *proxy) []byte {
	b, err := json.Marshal(merge(object{
		"node":  object{"id": "node", "cluster": "c"},
		"admin": object{"address": socketAddress(p.admin)},
		"static_resources": object{"clusters": []any{object{
			"name": "xds", "type": "STATIC", "connect_timeout": "1s", "http2_protocol_options": object{},
			"load_assignment": object{"cluster_name": "xds", "endpoints": []any{object{"lb_endpoints": []any{
				object{"endpoint": object{"address": socketAddress("{{xds}}")}}}}}},
		}}},
	}, d.Bootstrap))
	if err != nil {
		panic(err)
	}
	return []byte(strings.ReplaceAll(string(b), `"{{xds}}"`, "{{xds}}"))
}

// compare plays the dialogue with both proxies at once.
func (d *dialogue) compare(t *testing.T, api string) {
	weir, err := testbinary.Weir()
	if err != nil {
		t.Fatal(err)
	}
	envoy := findEnvoy(t)
	var want, got []string
	t.Run("with", func(t *testing.T) {
		t.Run("envoy", func(t *testing.T) {
			t.Parallel()
			want = d.run(t, newProxy(t, "envoy", envoy, "--disable-hot-restart"), api)
		})
		t.Run("weir", func(t *testing.T) {
			t.Parallel()
			got = d.run(t, newProxy(t, "weir", weir, "proxy"), api)
		})
	})
	if *show {
		t.Log(strings.Join(want, "\n"))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("weir (+) differs from Envoy (-):\n%s", diff)
	}
}

var dialogueFiles = flag.String("dialogues", "dialogues/*.yaml", "the files of dialogues, a pattern")

// TestDialogues plays dialogues/*.yaml.
func TestDialogues(t *testing.T) {
	for _, name := range []string{"u1", "u2", "u3"} {
		_, upstreams[name] = startEcho(t, name)
	}
	upstreams["dead"] = deadPort(t)
	makeCerts(t)
	t.Cleanup(func() { clear(upstreams) })
	files, err := filepath.Glob(*dialogueFiles)
	if err != nil || len(files) == 0 {
		t.Fatal("no dialogues", err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var all []dialogue
		if err := yaml.UnmarshalStrict(b, &all); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for _, d := range all {
			if d.APIs == nil {
				d.APIs = []string{"GRPC", "DELTA_GRPC"}
			}
			for _, api := range d.APIs {
				t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml")+"/"+d.Name+"/"+api, func(t *testing.T) {
					d.compare(t, api)
				})
			}
		}
	}
}

// allKinds are the types that dialogues name.
var allKinds = map[string]string{
	"Cluster": "envoy.config.cluster.v3.Cluster", "ClusterLoadAssignment": "envoy.config.endpoint.v3.ClusterLoadAssignment",
	"Listener": "envoy.config.listener.v3.Listener", "RouteConfiguration": "envoy.config.route.v3.RouteConfiguration",
	"ScopedRouteConfiguration": "envoy.config.route.v3.ScopedRouteConfiguration", "VirtualHost": "envoy.config.route.v3.VirtualHost",
	"Secret": "envoy.extensions.transport_sockets.tls.v3.Secret", "Runtime": "envoy.service.runtime.v3.Runtime",
	"TypedExtensionConfig": "envoy.config.core.v3.TypedExtensionConfig", "LbEndpoint": "envoy.config.endpoint.v3.LbEndpoint",
}

// numbers are the marks of ports, which JSON has as numbers.
var numbers = regexp.MustCompile(`"\{\{(\w+)\}\}"`)

// pack are the step's resources, and their names.
func (s *turn) pack(t *testing.T, p *proxy, api string) (out []*anypb.Any, names []string) {
	kind, _, _ := strings.Cut(s.Say, " ")
	for _, r := range s.Add {
		r = merge(object{}, r)
		if r["@type"] == nil {
			r["@type"] = typePrefix + allKinds[kind]
		}
		name, _ := r["name"].(string)
		if n, ok := r["cluster_name"].(string); ok {
			name = n
		}
		if n, ok := r["resource_name"].(string); ok {
			name = n
			delete(r, "resource_name")
		}
		b, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		text := numbers.ReplaceAllString(strings.ReplaceAll(string(b), "{{api}}", api), "{{$1}}")
		a := &anypb.Any{}
		if err := protojson.Unmarshal([]byte(fill(text, p)), a); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		out, names = append(out, a), append(names, name)
	}
	return out, names
}

// responses are what the step says, in both protocols.
func (s *turn) responses(t *testing.T, nonce string, p *proxy, api string) (*discoveryv3.DiscoveryResponse, *discoveryv3.DeltaDiscoveryResponse) {
	kind, version, _ := strings.Cut(s.Say, " ")
	url := typePrefix + allKinds[kind]
	resources, names := s.pack(t, p, api)
	sotw := &discoveryv3.DiscoveryResponse{TypeUrl: url, VersionInfo: version, Nonce: nonce, Resources: resources, ControlPlane: identifier}
	delta := &discoveryv3.DeltaDiscoveryResponse{TypeUrl: url, SystemVersionInfo: version, Nonce: nonce, RemovedResources: s.Remove, ControlPlane: identifier}
	for i, r := range resources {
		delta.Resources = append(delta.Resources, &discoveryv3.Resource{Name: names[i], Version: version, Resource: r})
	}
	return sotw, delta
}
