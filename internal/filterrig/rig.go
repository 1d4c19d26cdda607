// Package filterrig runs one chain of HTTP filters for tests, over httprig: at
// its end is the router and an upstream that answers with what reached it.
package filterrig

import (
	"fmt"
	"io"
	stdhttp "net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/weirproxy/weir/internal/httprig"
	"github.com/weirproxy/weir/proxy/router"
)

// Rig is a running listener with the chain.
type Rig struct {
	*httprig.Rig
	t       testing.TB
	Address string
	client  *stdhttp.Client
}

// Start runs a connection manager (stat_prefix "in") with the filters, each in
// YAML's flow style as of Filter. routes are those of its only virtual host,
// in flow style; "" forwards everything to cluster u.
func Start(t testing.TB, o httprig.Options, routes string, filters ...string) *Rig {
	t.Helper()
	return StartOn(t, httprig.New(t, o), routes, filters...)
}

// StartOn is Start on a rig that has clusters already.
func StartOn(t testing.TB, rig *httprig.Rig, routes string, filters ...string) *Rig {
	t.Helper()
	r := &Rig{Rig: rig, t: t}
	r.Cluster("u", trailers, r.Upstream(answer))
	r.Address = r.Serve(config(routes, filters))
	r.client = &stdhttp.Client{
		Transport:     &stdhttp.Transport{DisableCompression: true},
		CheckRedirect: func(*stdhttp.Request, []*stdhttp.Request) error { return stdhttp.ErrUseLastResponse },
	}
	t.Cleanup(r.client.CloseIdleConnections)
	return r
}

// trailers has the codec keep trailers of HTTP/1.
const trailers = `typed_extension_protocol_options: {envoy.extensions.upstreams.http.v3.HttpProtocolOptions: {"@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions, explicit_http_config: {http_protocol_options: {enable_trailers: true}}}}`

// WantRefused expects the chain to be refused with an error that contains want.
func WantRefused(t testing.TB, want, routes string, filters ...string) {
	t.Helper()
	WantRefusedWith(t, httprig.Options{}, want, routes, filters...)
}

// WantRefusedWith is WantRefused on a rig with options.
func WantRefusedWith(t testing.TB, o httprig.Options, want, routes string, filters ...string) {
	t.Helper()
	if err := httprig.New(t, o).Refuses(config(routes, filters)); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%s %s: %v, want an error with %q", filters, routes, err, want)
	}
}

func config(routes string, filters []string) string {
	if routes == "" {
		routes = "{match: {prefix: /}, route: {cluster: u}}"
	}
	filters = append(slices.Clone(filters), Filter("router", router.TypeURL, ""))
	return httprig.Routes(routes) + "http_filters: [" + strings.Join(filters, ", ") + "]\n"
}

// Filter is one filter in flow style.
func Filter(name, typeURL, config string) string {
	return fmt.Sprintf("{name: %q, typed_config: %s}", name, typed(typeURL, config))
}

// Route is a route to cluster u with a typed_per_filter_config, in flow style.
func Route(prefix, name, typeURL, config string) string {
	return fmt.Sprintf("{match: {prefix: %q}, route: {cluster: u}, typed_per_filter_config: {%q: %s}}", prefix, name, typed(typeURL, config))
}

func typed(typeURL, config string) string {
	if config != "" {
		config = ", " + config
	}
	return fmt.Sprintf(`{"@type": %q%s}`, typeURL, config)
}

// answer is the upstream: 200 with the request's header lines, an empty line
// and the request's body. The request header x-do asks for more, separated by
// ";": status=503, header=name:value, trailer=name:value, body=text, mirror (the
// request's body).
func answer(w stdhttp.ResponseWriter, q *stdhttp.Request) {
	body, _ := io.ReadAll(q.Body)
	var lines []string
	for name, values := range q.Header {
		for _, v := range values {
			lines = append(lines, strings.ToLower(name)+": "+v+"\n")
		}
	}
	slices.Sort(lines)
	text := fmt.Sprintf("%s %s\nhost: %s\n%s\n%s", q.Method, q.RequestURI, q.Host, strings.Join(lines, ""), body)
	for name, values := range q.Trailer {
		text += fmt.Sprintf("\ntrailer %s: %s", strings.ToLower(name), values)
	}
	w.Header().Set("x-upstream", "yes")
	status := 200
	for verb := range strings.SplitSeq(q.Header.Get("x-do"), ";") {
		what, value, _ := strings.Cut(verb, "=")
		name, rest, _ := strings.Cut(value, ":")
		switch what {
		case "status":
			status, _ = strconv.Atoi(value)
		case "header":
			w.Header().Add(name, rest)
		case "trailer":
			w.Header().Add(stdhttp.TrailerPrefix+name, rest)
		case "body":
			text = value
		case "mirror":
			text = string(body)
		}
	}
	w.WriteHeader(status)
	w.(stdhttp.Flusher).Flush() // chunked, so that there can be trailers
	io.WriteString(w, text)
}

// Answer is a response as the client saw it.
type Answer struct {
	Status  int
	Header  stdhttp.Header
	Trailer stdhttp.Header
	Body    string
}

// Get is Do for a GET; headers are name, value, name, value, …
func (r *Rig) Get(path string, headers ...string) Answer {
	r.t.Helper()
	return r.Do("GET", path, "", headers...)
}

// Do sends a request and returns the answer.
func (r *Rig) Do(method, path, body string, headers ...string) Answer {
	r.t.Helper()
	var content io.Reader
	if body != "" {
		content = strings.NewReader(body)
	}
	q, err := stdhttp.NewRequest(method, "http://"+r.Address+path, content)
	if err != nil {
		r.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		if strings.EqualFold(headers[i], "host") {
			q.Host = headers[i+1]
			continue
		}
		q.Header.Add(headers[i], headers[i+1])
	}
	a, err := r.client.Do(q)
	if err != nil {
		r.t.Fatal(err)
	}
	defer a.Body.Close()
	b, err := io.ReadAll(a.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return Answer{a.StatusCode, a.Header, a.Trailer, string(b)}
}

// Reached tells whether the answer is the upstream's.
func (a Answer) Reached() bool { return a.Header.Get("x-upstream") == "yes" }

// Sent is the value of a request header as it reached the upstream; several
// are joined by ",".
func (a Answer) Sent(name string) string {
	var out []string
	for line := range strings.Lines(a.Body) {
		if v, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), name+": "); ok {
			out = append(out, v)
		}
	}
	return strings.Join(out, ",")
}
