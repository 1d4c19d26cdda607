//go:build oracle

package oracle

import (
	"encoding/json"
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
	"google.golang.org/protobuf/types/known/durationpb"
	"sigs.k8s.io/yaml"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"

	"github.com/weirproxy/weir/internal/testbinary"
)

// dialogue is a script of what a control plane says and clients ask; both
// proxies must answer alike, step by step. It runs once for each API.
type dialogue struct {
	Name      string   `json:"name"`
	APIs      []string `json:"apis"` // GRPC, DELTA_GRPC: both when not given
	Bootstrap object   `json:"bootstrap"`
	Files     map[string]any
	Steps     []turn `json:"steps"`
	Stats     string `json:"stats"` // a regular expression of names, at the end
	Differs   string `json:"differs"`
	Early     bool   `json:"early"` // steps begin before the proxy is ready
}

// turn is one of a dialogue's; what it brings about within its time is compared.
type turn struct {
	Say     string            `json:"say"` // a type and a version: "Cluster v1"
	As      string            `json:"as"`  // what type the response says, if another
	Add     []object          `json:"add"`
	Remove  []string          `json:"remove"` // delta
	TTL     float64           `json:"ttl"`    // seconds, of what is added
	End     bool              `json:"end"`    // the control plane ends its streams
	Get     *request          `json:"get"`
	Page    string            `json:"page"` // of admin: /path or POST /path
	Pick    string            `json:"pick"` // only the lines of the page that match
	Stats   string            `json:"stats"`
	Files   map[string]any    `json:"files"`
	Wait    float64           `json:"wait"`    // how long nothing must happen for the next; 0.15 s
	Only    string            `json:"only"`    // of this API
	Content map[string]string `json:"content"` // files as they are
}

// apply does the step and gives what it brought about.
func (s *turn) apply(t *testing.T, c *controlPlane, p *proxy, api string, clean cleaner, i int) []string {
	var out []string
	if err := p.write(s.Files); err != nil {
		t.Fatal(err)
	}
	for name, text := range s.Content {
		path := filepath.Join(p.dir, name)
		os.WriteFile(path+".new", []byte(fill(text, p)), 0o644)
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
		a := s.Get.send(p.port, s.Get.TLS != nil)[0]
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
		out = append(out, s.page(t, p, clean)...)
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

func (s *turn) page(t *testing.T, p *proxy, clean cleaner) (out []string) {
	method, target, ok := strings.Cut(s.Page, " ")
	if !ok {
		method, target = "GET", s.Page
	}
	m, err := p.adminAnswer(method, target)
	if err != nil {
		return []string{err.Error()}
	}
	out = append(out, fmt.Sprint(s.Page, " ", m.status()))
	pick := regexp.MustCompile(s.Pick)
	for line := range strings.Lines(clean.text(settled(m.Body))) {
		line = strings.TrimRight(line, "\n")
		if pick.MatchString(line) {
			out = append(out, line)
		}
	}
	return out
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
	upstreams["xds"] = serve(t, nil, c.options()...)
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
	clean := (&testCase{}).cleaner(p)
	for i, s := range append([]turn{{Wait: 0.3}}, d.Steps...) {
		if s.Only != "" && s.Only != api {
			continue
		}
		lines := s.apply(t, c, p, api, clean, i)
		// The order of types is free.
		if s.Page == "" {
			slices.SortStableFunc(lines, func(a, b string) int { return strings.Compare(shortWord(a), shortWord(b)) })
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
	return out
}

func shortWord(s string) string { return strings.SplitN(s, " ", 2)[0] }

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

var dialogueFiles = "dialogues/*.yaml"

// TestDialogues plays dialogues/*.yaml.
func TestDialogues(t *testing.T) {
	envoy := findEnvoy(t)
	weir, err := testbinary.Weir()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"u1", "u2", "u3"} {
		_, upstreams[name] = startEcho(t, name)
	}
	upstreams["dead"] = deadPort(t)
	makeCerts(t)
	pattern := dialogueFiles
	if f := os.Getenv("DIALOGUES"); f != "" {
		pattern = f
	}
	files, err := filepath.Glob(pattern)
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
			apis := d.APIs
			if apis == nil {
				apis = []string{"GRPC", "DELTA_GRPC"}
			}
			for _, api := range apis {
				t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml")+"/"+d.Name+"/"+api, func(t *testing.T) {
					want := d.run(t, newProxy(t, "envoy", envoy, "--disable-hot-restart"), api)
					if *show {
						t.Log(strings.Join(want, "\n"))
						return
					}
					got := d.run(t, newProxy(t, "weir", weir, "proxy"), api)
					diff := cmp.Diff(want, got)
					if d := os.Getenv("OUTDIR"); d != "" {
						base := filepath.Join(d, strings.NewReplacer("/", "_", " ", "_").Replace(t.Name()))
						os.WriteFile(base+".envoy", []byte(strings.Join(want, "\n")+"\n"), 0o644)
						os.WriteFile(base+".weir", []byte(strings.Join(got, "\n")+"\n"), 0o644)
						diff = strings.Repeat("x", min(1, len(diff)))
					}
					switch {
					case d.Differs == "" && diff != "":
						t.Errorf("weir (+) differs from Envoy (-):\n%s", diff)
					case d.Differs != "" && diff == "":
						t.Errorf("weir agrees with Envoy, but should not: %s", d.Differs)
					}
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
	if s.As != "" {
		url = s.As
	}
	resources, names := s.pack(t, p, api)
	sotw := &discoveryv3.DiscoveryResponse{TypeUrl: url, VersionInfo: version, Nonce: nonce, Resources: resources, ControlPlane: identifier}
	delta := &discoveryv3.DeltaDiscoveryResponse{TypeUrl: url, SystemVersionInfo: version, Nonce: nonce, RemovedResources: s.Remove, ControlPlane: identifier}
	for i, r := range resources {
		w := &discoveryv3.Resource{Name: names[i], Version: version, Resource: r}
		if s.TTL > 0 {
			w.Ttl = durationpb.New(time.Duration(s.TTL * float64(time.Second)))
			sotw.Resources[i], _ = anypb.New(w)
		}
		delta.Resources = append(delta.Resources, w)
	}
	return sotw, delta
}
