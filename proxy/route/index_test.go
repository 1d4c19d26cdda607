package route

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/streaminfo"
)

// randomTable makes a virtual host of n routes over a small alphabet, so that
// prefixes nest, repeat and shadow each other.
func randomTable(r *rand.Rand, n int) *routev3.RouteConfiguration {
	v := &routev3.VirtualHost{Name: "v", Domains: []string{"*"}}
	for i := range n {
		path := randomPath(r)
		m := &routev3.RouteMatch{}
		switch r.IntN(8) {
		case 0, 1, 2:
			m.PathSpecifier = &routev3.RouteMatch_Prefix{Prefix: path}
		case 3, 4:
			m.PathSpecifier = &routev3.RouteMatch_Path{Path: path}
		case 5:
			m.PathSpecifier = &routev3.RouteMatch_PathSeparatedPrefix{PathSeparatedPrefix: "/" + strings.Trim(path, "/") + "a"}
		case 6:
			m.PathSpecifier = &routev3.RouteMatch_SafeRegex{SafeRegex: &matcherv3.RegexMatcher{Regex: path + "[ab]*"}}
		case 7:
			m.PathSpecifier = &routev3.RouteMatch_ConnectMatcher_{ConnectMatcher: &routev3.RouteMatch_ConnectMatcher{}}
		}
		if r.IntN(3) == 0 {
			m.CaseSensitive = wrapperspb.Bool(false)
		}
		switch r.IntN(6) {
		case 0:
			m.Headers = []*routev3.HeaderMatcher{{Name: "x-a", HeaderMatchSpecifier: &routev3.HeaderMatcher_PresentMatch{PresentMatch: true}}}
		case 1:
			m.RuntimeFraction = &corev3.RuntimeFractionalPercent{DefaultValue: &typev3.FractionalPercent{Numerator: 50}}
		case 2:
			m.QueryParameters = []*routev3.QueryParameterMatcher{{Name: "q"}}
		}
		v.Routes = append(v.Routes, &routev3.Route{
			Name:   fmt.Sprint(i),
			Match:  m,
			Action: &routev3.Route_NonForwardingAction{NonForwardingAction: &routev3.NonForwardingAction{}},
		})
	}
	return &routev3.RouteConfiguration{Name: "r", VirtualHosts: []*routev3.VirtualHost{v}}
}

func randomPath(r *rand.Rand) string {
	b := []byte("/")
	for range r.IntN(7) {
		b = append(b, "aAb/"[r.IntN(4)])
	}
	return string(b)
}

func randomRequest(r *rand.Rand, h *http.HeaderMap) {
	h.Reset()
	method := "GET"
	if r.IntN(8) == 0 {
		method = "CONNECT"
	}
	h.Add(http.Method, method)
	h.Add(http.Authority, "h")
	if r.IntN(10) > 0 {
		h.Add(http.Path, randomPath(r)+[]string{"", "?q", "#f", "?x=1&q=2"}[r.IntN(4)])
	}
	if r.IntN(2) == 0 {
		h.AddName("x-a", "1")
	}
}

func checkTable(t *testing.T, seed uint64, routes, requests int) {
	r := rand.New(rand.NewPCG(seed, 1))
	c, err := Compile("r", randomTable(r, routes), Options{})
	if err != nil {
		t.Fatal(err)
	}
	v := c.vhosts[0]
	if (v.index != nil) != (routes >= indexFrom) {
		t.Fatalf("%d routes: index %v", routes, v.index != nil)
	}
	var h http.HeaderMap
	info := &streaminfo.Info{}
	for range requests {
		randomRequest(r, &h)
		random := r.Uint64()
		want := ""
		full := h.Get(http.Path)
		rq := request{headers: &h, info: info, path: pathOnly(full), random: random}
		rq.connect, rq.hasPath = connectAndPath(&h)
		if e := scan(v.entries, &rq); e != nil {
			want = e.name
		}
		got := ""
		if route := c.Route(&h, info, random); route != nil {
			got = route.RouteName()
		}
		if got != want {
			t.Fatalf("seed %d, %s %q: route %q, in order it is %q", seed, h.Get(http.Method), full, got, want)
		}
	}
}

func TestIndexAnswersAsTheEntriesInOrder(t *testing.T) {
	for seed := range uint64(200) {
		checkTable(t, seed, 1+int(seed), 200)
	}
}

func FuzzIndex(f *testing.F) {
	f.Add(uint64(1), uint16(40))
	f.Fuzz(func(t *testing.T, seed uint64, routes uint16) { checkTable(t, seed, 1+int(routes%300), 50) })
}

func TestRouteAllocatesNothing(t *testing.T) {
	c := prefixes(t, 2000)
	h := get("h.example", "/svc1999/a?b")
	info := &streaminfo.Info{}
	if n := testing.AllocsPerRun(100, func() { c.Route(h, info, 7) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func get(host, path string) *http.HeaderMap {
	h := &http.HeaderMap{}
	h.Add(http.Method, "GET")
	h.Add(http.Authority, host)
	h.Add(http.Path, path)
	return h
}

func prefixes(t testing.TB, n int) *Config {
	v := &routev3.VirtualHost{Name: "v", Domains: []string{"*"}}
	for i := range n {
		v.Routes = append(v.Routes, &routev3.Route{
			Match:  &routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_Prefix{Prefix: fmt.Sprintf("/svc%d/", i)}},
			Action: &routev3.Route_Route{Route: &routev3.RouteAction{ClusterSpecifier: &routev3.RouteAction_Cluster{Cluster: "c"}}},
		})
	}
	return compiled(t, &routev3.RouteConfiguration{VirtualHosts: []*routev3.VirtualHost{v}})
}

func compiled(t testing.TB, c *routev3.RouteConfiguration) *Config {
	t.Helper()
	out, err := Compile("route_config", c, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func BenchmarkRoute2000Prefixes(b *testing.B) {
	c, h, info := prefixes(b, 2000), get("h.example", "/svc1999/a?b"), &streaminfo.Info{}
	b.ReportAllocs()
	for b.Loop() {
		if c.Route(h, info, 7) == nil {
			b.Fatal("no route")
		}
	}
}

func BenchmarkRoute1000VirtualHosts(b *testing.B) {
	rc := &routev3.RouteConfiguration{}
	for i := range 1000 {
		rc.VirtualHosts = append(rc.VirtualHosts, &routev3.VirtualHost{
			Name:    fmt.Sprint(i),
			Domains: []string{fmt.Sprintf("h%d.example", i), fmt.Sprintf("*.h%d.example", i)},
			Routes: []*routev3.Route{{
				Match:  &routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_Prefix{Prefix: "/"}},
				Action: &routev3.Route_Route{Route: &routev3.RouteAction{ClusterSpecifier: &routev3.RouteAction_Cluster{Cluster: "c"}}},
			}},
		})
	}
	c, info := compiled(b, rc), &streaminfo.Info{}
	exact, wild := get("h777.example", "/"), get("www.h777.example", "/")
	b.ReportAllocs()
	for b.Loop() {
		if c.Route(exact, info, 7) == nil || c.Route(wild, info, 7) == nil {
			b.Fatal("no route")
		}
	}
}

func BenchmarkCompile(b *testing.B) {
	rc := &routev3.RouteConfiguration{}
	for i := range 2000 {
		v := &routev3.VirtualHost{Name: fmt.Sprint(i), Domains: []string{fmt.Sprintf("h%d.example", i)}}
		for j := range 5 {
			v.Routes = append(v.Routes, &routev3.Route{
				Match:  &routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_Prefix{Prefix: fmt.Sprintf("/p%d/", j)}},
				Action: &routev3.Route_Route{Route: &routev3.RouteAction{ClusterSpecifier: &routev3.RouteAction_Cluster{Cluster: fmt.Sprintf("c%d", i*5+j)}}},
			})
		}
		rc.VirtualHosts = append(rc.VirtualHosts, v)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Compile("", rc, Options{}); err != nil {
			b.Fatal(err)
		}
	}
}
