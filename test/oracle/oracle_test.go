//go:build oracle

package oracle

import (
	"crypto/tls"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weirproxy/weir/internal/testbinary"
)

var (
	show      = flag.Bool("show", false, "print what Envoy answers; weir is not run")
	caseFiles = flag.String("files", "cases/*.yaml", "the case files, a pattern")
)

// upstreams are the ports of the echo servers, and of one that refuses.
var upstreams = map[string]int{}

// telemetry is what the proxies send theirs to.
var telemetry *collector

func TestCases(t *testing.T) {
	envoy := findEnvoy(t)
	weir := ""
	if !*show {
		var err error
		if weir, err = testbinary.Weir(); err != nil {
			t.Fatal(err)
		}
	}
	var echoes []*echo
	for _, name := range []string{"u1", "u2", "u3"} {
		e, port := startEcho(t, name)
		echoes, upstreams[name] = append(echoes, e), port
	}
	cert, roots := makeCerts(t)
	for name, auth := range map[string]tls.ClientAuthType{"s1": tls.RequestClientCert, "s2": tls.RequireAndVerifyClientCert} {
		e, port := startTLSEcho(t, name, &tls.Config{Certificates: []tls.Certificate{cert}, ClientAuth: auth, ClientCAs: roots, NextProtos: []string{"http/1.1", "foo"}})
		echoes, upstreams[name] = append(echoes, e), port
	}
	for name, c := range map[string]*tls.Config{"h2": nil, "h2s": {Certificates: []tls.Certificate{cert}, NextProtos: []string{"h2"}}} {
		e, port := startH2Echo(t, name, c)
		echoes, upstreams[name] = append(echoes, e), port
	}
	upstreams["dead"], upstreams["grpc"], upstreams["raw"] = deadPort(t), startServices(t), startRaw(t)
	upstreams["udp1"], upstreams["udp2"] = startUDP(t, "udp1"), startUDP(t, "udp2")
	telemetry, upstreams["collector"], upstreams["collector-http"] = startCollector(t)
	files := loadCases(t)
	for _, file := range slices.Sorted(maps.Keys(files)) {
		t.Run(file, func(t *testing.T) {
			for _, c := range files[file] {
				t.Run(c.Name, func(t *testing.T) {
					want := c.observe(t, newProxy(t, "envoy", envoy, "--disable-hot-restart"), echoes)
					if verdict, _, ok := strings.Cut(c.Name, ": "); ok && c.Validate != nil && *want.Accepted != (verdict == "accepted") {
						t.Fatalf("the case's name is wrong: Envoy accepts it: %v", *want.Accepted)
					}
					if *show {
						t.Log(want)
						return
					}
					got := c.observe(t, newProxy(t, "weir", weir, "proxy"), echoes)
					c.compare(t, want, got)
				})
			}
		})
	}
}

// observation is all that is compared.
type observation struct {
	Accepted *bool             `json:",omitempty"`
	Answers  [][]answer        `json:",omitempty"`
	Shares   []shares          `json:",omitempty"`
	Stats    map[string]string `json:",omitempty"`
	Pages    []pageView        `json:",omitempty"`
	Log      []string          `json:",omitempty"`
	// StatNames are the names of all statistics, by what they are.
	StatNames []string `json:",omitempty"`
	// Collected is what the collector was sent.
	Collected []string `json:",omitempty"`
}

// String is one line for each thing seen.
func (o observation) String() string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if o.Accepted != nil {
		fmt.Fprintf(&b, "accepted: %v\n", *o.Accepted)
	}
	for _, a := range o.Answers {
		e.Encode(a)
	}
	for _, s := range o.Shares {
		e.Encode(s)
	}
	for _, name := range slices.Sorted(maps.Keys(o.Stats)) {
		fmt.Fprintf(&b, "%s: %s\n", name, o.Stats[name])
	}
	for _, page := range o.Pages {
		e.Encode(page)
	}
	for _, line := range o.Log {
		fmt.Fprintf(&b, "log: %s\n", line)
	}
	for _, name := range o.StatNames {
		fmt.Fprintln(&b, name)
	}
	for _, item := range o.Collected {
		fmt.Fprintf(&b, "collected: %s\n", item)
	}
	return b.String()
}

type pageView struct {
	Page    string
	Status  int
	Headers [][2]string
	Body    string
}

// shares are how often a server answered with a status, of 1.
type shares map[string]float64

func (c *testCase) compare(t *testing.T, envoy, weir observation) {
	t.Helper()
	near := cmp.Options{
		cmp.Comparer(seconds.near),
		cmp.Comparer(func(a, b shares) bool {
			for k := range a {
				if max(a[k]-b[k], b[k]-a[k]) > 0.1 {
					return false
				}
			}
			return true
		}),
	}
	diff := cmp.Diff(envoy, weir, near)
	switch {
	case c.Differs != "" && diff == "":
		t.Errorf("weir agrees with Envoy here, but the case says that it does not: %s", c.Differs)
	case c.Differs == "" && diff != "":
		t.Errorf("weir (+) differs from Envoy (-):\n%s", lineDiff(envoy.String(), weir.String(), len(envoy.Answers)))
	}
}

// lineDiff are the lines in which two texts differ: line by line while both
// have some, and if one has more than the other, those behind the answers that
// only one has.
func lineDiff(a, b string, answers int) (out string) {
	lines := func(s string) []string { return strings.Split(duration.ReplaceAllString(s, ""), "\n") }
	from, to := lines(a), lines(b)
	same := len(from)
	if len(from) != len(to) {
		same = min(answers, len(from), len(to))
	}
	for i := range same {
		if from[i] != to[i] {
			out += fmt.Sprintf("line %d:\n-%s\n+%s\n", i, from[i], to[i])
		}
	}
	from, to = from[same:], to[same:]
	only := func(mark string, of, other []string) {
		for _, line := range of {
			if !slices.Contains(other, line) {
				out += mark + line + "\n"
			}
		}
	}
	only("-", from, to)
	only("+", to, from)
	return out
}

// observe runs the case against a proxy.
func (c *testCase) observe(t *testing.T, p *proxy, echoes []*echo) (o observation) {
	t.Helper()
	if err := p.write(c.Files); err != nil {
		t.Fatal(err)
	}
	if c.Validate != nil {
		ok, said, err := p.accepts(c.bootstrap(p))
		if err != nil {
			t.Fatal(err)
		}
		if testing.Verbose() && !ok {
			t.Logf("%s: %s", p.name, strings.TrimSpace(said))
		}
		o.Accepted = &ok
		return o
	}
	for _, e := range echoes {
		e.reset()
	}
	telemetry.reset()
	if err := p.start(c.bootstrap(p)); err != nil {
		t.Fatal(err)
	}
	stopped := false
	defer func() {
		if !stopped {
			p.stop()
		}
	}()
	clean := c.cleaner(p)
	for i := range c.Requests {
		q := &c.Requests[i]
		if err := p.write(q.Files); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(q.Wait * float64(time.Second)))
		if q.Times > 1 {
			o.Shares = append(o.Shares, q.sendMany(p, c.TLS != nil, clean))
			continue
		}
		begin := time.Now()
		answers := q.send(p, c.TLS != nil)
		if took := time.Since(begin).Seconds(); took > 0.25 && q.Raw == "" && !c.Untimed {
			answers[0].Took = seconds(took)
		}
		for i := range answers {
			clean.answer(&answers[i])
		}
		o.Answers = append(o.Answers, answers)
	}
	if c.Collect > 0 {
		for _, item := range telemetry.wait(c.Collect) {
			o.Collected = append(o.Collected, clean.text(item))
		}
	}
	c.observeAdmin(t, p, clean, &o)
	stopped = true
	if err := p.stop(); err != nil {
		t.Error(err)
	}
	if c.Log != nil {
		b, err := os.ReadFile(p.log())
		if err != nil {
			t.Error(err)
		}
		for line := range strings.Lines(string(b)) {
			o.Log = append(o.Log, clean.text(strings.TrimSuffix(line, "\n")))
		}
	}
	return o
}

func (q *request) sendMany(p *proxy, withTLS bool, clean cleaner) shares {
	out := shares{}
	for range q.Times {
		a := q.send(p, withTLS)[0]
		clean.answer(&a)
		server := ""
		if a.Upstream != nil {
			server = a.Upstream.Server
		}
		out[fmt.Sprintf("%d %s", a.Status, server)] += 1 / float64(q.Times)
	}
	return out
}

func (c *testCase) observeAdmin(t *testing.T, p *proxy, clean cleaner, o *observation) {
	t.Helper()
	if len(c.Stats) > 0 {
		// Gauges of connections fall a moment after the client has gone.
		time.Sleep(300 * time.Millisecond)
		var err error
		if o.Stats, err = p.statistics(c.Stats); err != nil {
			t.Error(err)
		}
	}
	if c.StatNames {
		time.Sleep(300 * time.Millisecond)
		var err error
		if o.StatNames, err = p.statNames(clean); err != nil {
			t.Error(err)
		}
	}
	for _, path := range c.Admin {
		method, target, ok := strings.Cut(path, " ")
		if !ok {
			method, target = "GET", path
		}
		m, err := p.adminAnswer(method, target)
		if err != nil {
			t.Error(err)
			continue
		}
		// Whether a page has chunks or a length is free, and Envoy says some twice.
		headers := slices.DeleteFunc(slices.Compact(clean.headers(m.Headers)), func(h [2]string) bool {
			return h[0] == "transfer-encoding" || h[0] == "content-length"
		})
		body := clean.text(m.Body)
		if target == "/runtime" { // in the order of a hash table
			body = sortedJSON(body)
		}
		o.Pages = append(o.Pages, pageView{path, m.status(), headers, body})
	}
}

// sortedJSON is an object with its names in order.
func sortedJSON(text string) string {
	var v object
	if json.Unmarshal([]byte(text), &v) != nil {
		return text
	}
	b, _ := json.Marshal(v)
	return string(b)
}

// cleaner takes out of answers what can't be the same twice.
type cleaner struct {
	ports  *strings.Replacer
	ignore []string
}

var (
	clientAddress = regexp.MustCompile(`127\.0\.0\.1:\d{4,5}\b`)
	uuid          = regexp.MustCompile(`\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b`)
	duration      = regexp.MustCompile(`"Took":[\d.]+,?`)
	clientPort    = regexp.MustCompile(`"portValue":\d+`)
	timestamp     = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{3})?Z`)
	// cookieChance are the parts of the oauth2 filter's cookies that time or
	// chance decide: a flow's name and its nonce, signatures, sealed verifiers, times.
	cookieChance = regexp.MustCompile(`([=.])(?:(?:[0-9a-f]{16}\.)?[A-Za-z0-9+/]{43}=|[0-9a-f]{16}\b|[A-Za-z0-9_-]{86}|\d{10}\b)`)
	// presence are headers of which only the presence is compared.
	presence = []string{"date", "x-envoy-expected-rq-timeout-ms", "x-request-id", "x-envoy-upstream-service-time"}
)

func (c *testCase) cleaner(p *proxy) cleaner {
	pairs := []string{certDir, "<certs>"}
	for name, port := range upstreams {
		pairs = append(pairs, fmt.Sprint(port), "<"+name+">")
	}
	return cleaner{strings.NewReplacer(append(pairs, fmt.Sprint(p.port), "<port>")...), c.Ignore}
}

func (c cleaner) text(s string) string {
	s = clientAddress.ReplaceAllString(c.ports.Replace(s), "<client>")
	return timestamp.ReplaceAllString(uuid.ReplaceAllString(s, "<uuid>"), "<time>")
}

func (c cleaner) headers(list [][2]string) [][2]string {
	var out [][2]string
	for _, h := range list {
		switch {
		case slices.Contains(c.ignore, h[0]):
			continue
		case h[0] == "server" && (h[1] == "envoy" || h[1] == "weir"):
			h[1] = "<proxy>"
		case h[0] == "set-cookie":
			h[1] = cookieChance.ReplaceAllString(c.text(h[1]), "$1<any>")
		case h[0] == "sw8":
			h[1] = withoutIDs(h[1])
		case slices.Contains(presence, h[0]), strings.HasSuffix(h[0], "-delay-ms"):
			h[1] = "<any>"
		default:
			h[1] = c.text(h[1])
		}
		out = append(out, h)
	}
	// The order of different headers is free.
	slices.SortStableFunc(out, func(a, b [2]string) int { return strings.Compare(a[0], b[0]) })
	return out
}

func (c cleaner) answer(a *answer) {
	var up received
	a.Body = decompress(a.Headers, a.Body)
	if strings.HasPrefix(a.Body, `{"server"`) && json.Unmarshal([]byte(a.Body), &up) == nil {
		up.Headers, up.Trailers, up.Line = c.headers(up.Headers), c.headers(up.Trailers), c.text(up.Line)
		a.Upstream, a.Body = &up, ""
		// Its length follows from headers that are not compared.
		a.Headers = slices.DeleteFunc(a.Headers, func(h [2]string) bool { return h[0] == "content-length" })
	}
	if len(a.Body) > 2000 {
		a.Body = fmt.Sprintf("%d bytes", len(a.Body))
	}
	a.Body = c.text(a.Body)
	a.Headers, a.Trailers = c.headers(a.Headers), c.headers(a.Trailers)
	for i := range a.Frames {
		f := &a.Frames[i]
		f.Fields = c.headers(f.Fields)
		if len(f.Text) > 2000 || strings.HasPrefix(f.Text, `{"server"`) {
			f.Text = fmt.Sprintf("%d bytes", len(f.Text))
		}
		f.Text = c.text(f.Text)
	}
}
