//go:build oracle

package oracle

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

type object = map[string]any

// testCase is what doc.go tells.
type testCase struct {
	Name            string            `json:"name"`
	VirtualHosts    []any             `json:"virtual_hosts"`
	RouteConfig     object            `json:"route_config"`
	HCM             object            `json:"hcm"`
	HTTPFilters     []object          `json:"http_filters"`
	Router          object            `json:"router"`
	NetworkFilters  []object          `json:"network_filters"`
	ListenerFilters []object          `json:"listener_filters"`
	UDPFilters      []object          `json:"udp_filters"`
	Listener        object            `json:"listener"`
	TLS             object            `json:"tls"`
	Clusters        map[string]object `json:"clusters"`
	Bootstrap       object            `json:"bootstrap"`
	Files           map[string]any    `json:"files"`
	Requests        []request         `json:"requests"`
	Log             any               `json:"log"`
	Stats           []string          `json:"stats"`
	Admin           []string          `json:"admin"`
	StatNames       bool              `json:"stat_names"`
	Validate        object            `json:"validate"`
	Ignore          []string          `json:"ignore"`
	Untimed         bool              `json:"untimed"`
	Collect         int               `json:"collect"`
	Differs         string            `json:"differs"`
}

// request is one request of a case.
type request struct {
	Files   map[string]any `json:"files"`   // replaced before it is sent
	Method  string         `json:"method"`  // GET
	Path    string         `json:"path"`    // /
	Version string         `json:"version"` // 1.1
	Host    string         `json:"host"`    // a.example
	Headers map[string]any `json:"headers"` // a value, or a list of them; sent sorted by name
	Body    *string        `json:"body"`
	Chunked bool           `json:"chunked"`
	Then    string         `json:"then"` // sent after the answer; as much is read back
	// UDP are datagrams, sent one after another by one client that waits for an
	// answer to each.
	UDP []string `json:"udp"`
	// Raw is sent as it is, instead; up to ten answers are read.
	Raw string     `json:"raw"`
	TLS *tlsClient `json:"tls"`
	// Proto h2 sends it over HTTP/2, by prior knowledge or ALPN. There "-" as
	// a path, scheme or host leaves that pseudo-header out.
	Proto    string         `json:"proto"`
	Scheme   string         `json:"scheme"`
	Protocol string         `json:"protocol"` // of extended CONNECT
	Trailers map[string]any `json:"trailers"`
	Open     bool           `json:"open"`    // END_STREAM is not sent
	Cancel   bool           `json:"cancel"`  // RST_STREAM is, behind all
	Streams  int            `json:"streams"` // how often on one connection at once
	// Frames are sent instead, over HTTP/2, and those that come back compared; see h2Script.
	Frames []string `json:"frames"`
	Wait   float64  `json:"wait"`  // seconds before it is sent
	Times  int      `json:"times"` // more than 1: shares of answers are compared, within 0.1;
	// where chance decides 1000 make that four standard deviations and a half
}

// loadCases reads the case files, by the name of the file.
func loadCases(t *testing.T) map[string][]testCase {
	t.Helper()
	files, err := filepath.Glob(*caseFiles)
	if err != nil || len(files) == 0 {
		t.Fatal("no case files", err)
	}
	out := map[string][]testCase{}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var cases []testCase
		if err := yaml.UnmarshalStrict(b, &cases); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		out[strings.TrimSuffix(filepath.Base(file), ".yaml")] = cases
	}
	return out
}

const (
	typePrefix = "type.googleapis.com/"
	extensions = "envoy.extensions.filters."
)

// shortTypes are types that a case may name without their package.
var shortTypes = map[string]string{
	"HttpConnectionManager": extensions + "network.http_connection_manager.v3.HttpConnectionManager",
	"TcpProxy":              extensions + "network.tcp_proxy.v3.TcpProxy",
	"UdpProxyConfig":        extensions + "udp.udp_proxy.v3.UdpProxyConfig",
	"FileAccessLog":         "envoy.extensions.access_loggers.file.v3.FileAccessLog",
	"Router":                extensions + "http.router.v3.Router",
}

// extension is {name, type, config} as Envoy has it.
func extension(short object) object {
	if short["typed_config"] != nil || short["config_discovery"] != nil {
		return short
	}
	name, _ := short["type"].(string)
	config := object{}
	if c, ok := short["config"].(object); ok {
		maps.Copy(config, c)
	}
	full := name
	if f, ok := shortTypes[name]; ok {
		full = f
	}
	config["@type"] = typePrefix + full
	out := object{"name": name, "typed_config": config}
	for k, v := range short {
		if k != "type" && k != "config" {
			out[k] = v
		}
	}
	return out
}

func extensionList(short []object, more ...object) []any {
	var out []any
	for _, s := range append(short, more...) {
		out = append(out, extension(s))
	}
	return out
}

// merge adds the fields of b to a, which it changes and returns.
func merge(a, b object) object {
	for k, v := range b {
		old, isObject := a[k].(object)
		if new, ok := v.(object); ok && isObject {
			a[k] = merge(old, new)
		} else {
			a[k] = v
		}
	}
	return a
}

func socketAddress(port any) object {
	return object{"socket_address": object{"address": "127.0.0.1", "port_value": port}}
}

// bootstrap is the case's bootstrap, as JSON.
func (c *testCase) bootstrap(p *proxy) []byte {
	b := c.Validate
	if b == nil {
		b = merge(object{
			"node":  object{"id": "oracle", "cluster": "oracle"},
			"admin": object{"address": socketAddress(p.admin)},
			"static_resources": object{
				"listeners": []any{c.listener(p)},
				"clusters":  c.clusterList(),
			},
		}, c.Bootstrap)
	}
	out, err := json.Marshal(b)
	if err != nil {
		panic(err) // it came from YAML
	}
	return []byte(fill(string(out), p))
}

// fill puts ports and directories in the places of their names.
func fill(text string, p *proxy) string {
	text = withPorts(text)
	text = strings.ReplaceAll(text, "{{port}}", fmt.Sprint(p.port))
	text = strings.ReplaceAll(text, "{{xds}}", fmt.Sprint(p.xds))
	text = strings.NewReplacer(append([]string{"{{certs}}", certDir}, certMarks...)...).Replace(text)
	return strings.ReplaceAll(text, "{{dir}}", p.dir)
}

// withPorts puts the upstreams' ports in the places of their names.
func withPorts(text string) string {
	for name, port := range upstreams {
		text = strings.ReplaceAll(text, "{{"+name+"}}", fmt.Sprint(port))
	}
	return text
}

// write writes files into the proxy's directory, each by moving it there.
func (p *proxy) write(files map[string]any) error {
	for name, content := range files {
		b, err := json.Marshal(content)
		if err != nil {
			return err
		}
		path := filepath.Join(p.dir, name)
		if err := os.WriteFile(path+".new", []byte(fill(string(b), p)), 0o644); err != nil {
			return err
		}
		if err := os.Rename(path+".new", path); err != nil {
			return err
		}
	}
	return nil
}

func (c *testCase) listener(p *proxy) object {
	if c.UDPFilters != nil {
		l := object{"name": "l", "address": socketAddress(p.port), "listener_filters": extensionList(c.UDPFilters)}
		l["address"].(object)["socket_address"].(object)["protocol"] = "UDP"
		return merge(l, c.Listener)
	}
	chain := object{"filters": []any{c.hcm(p)}}
	if c.NetworkFilters != nil {
		chain["filters"] = extensionList(c.NetworkFilters)
	}
	if c.TLS != nil {
		chain["transport_socket"] = c.downstreamTLS()
	}
	return merge(object{
		"name": "l", "address": socketAddress(p.port),
		"filter_chains": []any{chain}, "listener_filters": extensionList(c.ListenerFilters),
	}, c.Listener)
}

func (c *testCase) hcm(p *proxy) object {
	hosts := c.VirtualHosts
	if hosts == nil {
		hosts = []any{object{"name": "all", "domains": []any{"*"},
			"routes": []any{object{"match": object{"prefix": "/"}, "route": object{"cluster": "u1"}}}}}
	}
	m := object{
		"stat_prefix":  "in",
		"route_config": merge(object{"name": "r", "virtual_hosts": hosts}, c.RouteConfig),
		"http_filters": extensionList(c.HTTPFilters, object{"name": "envoy.filters.http.router", "type": "Router", "config": c.Router}),
	}
	if c.Log != nil {
		config := object{"path": p.log()}
		if format, ok := c.Log.(string); ok {
			config["log_format"] = object{"text_format_source": object{"inline_string": format}}
		} else {
			config = merge(config, maps.Clone(c.Log.(object)))
		}
		filter := config["filter"] // of the log, not of its configuration
		delete(config, "filter")
		log := extension(object{"name": "file", "type": "FileAccessLog", "config": config})
		if filter != nil {
			log["filter"] = filter
		}
		m["access_log"] = []any{log}
	}
	return extension(object{"name": "envoy.filters.network.http_connection_manager", "type": "HttpConnectionManager", "config": merge(m, c.HCM)})
}

func (c *testCase) clusterList() []any {
	var out []any
	for name, port := range upstreams {
		out = append(out, merge(object{
			"name": name, "type": "STATIC", "connect_timeout": "1s",
			"load_assignment": object{"cluster_name": name, "endpoints": []any{object{"lb_endpoints": []any{
				object{"endpoint": object{"address": socketAddress(port)}}}}}},
		}, merge(protocolOf(name), c.Clusters[name])))
	}
	for name, fields := range c.Clusters {
		if _, ok := upstreams[name]; !ok {
			out = append(out, merge(object{"name": name, "connect_timeout": "1s"}, fields))
		}
	}
	return out
}

// protocolOf are the fields of a cluster that speaks HTTP/2.
func protocolOf(name string) object {
	if name != "h2" && name != "collector" {
		return object{}
	}
	const options = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
	return object{"typed_extension_protocol_options": object{options: object{
		"@type": typePrefix + options, "explicit_http_config": object{"http2_protocol_options": object{}}}}}
}
