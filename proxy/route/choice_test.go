package route

import (
	"net/netip"
	"testing"

	"github.com/cespare/xxhash/v2"

	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/streaminfo"
)

func TestWeightedClusters(t *testing.T) {
	c := compileText(t, one(`
  {match: {path: /w}, route: {weighted_clusters: {clusters: [{name: a, weight: 60}, {name: none, weight: 0}, {name: b, weight: 30}, {name: c, weight: 10}]}}},
  {match: {path: /h}, route: {weighted_clusters: {header_name: x-n, clusters: [{name: a, weight: 1}, {cluster_header: x-c, weight: 1}]}}},
  {match: {path: /c}, route: {cluster_header: x-c}}`))
	counts := map[string]int{}
	for random := range uint64(1000) {
		h := get("h", "/w")
		counts[c.Route(h, nil, random).Cluster(h)]++
	}
	if counts["a"] != 600 || counts["b"] != 300 || counts["c"] != 100 {
		t.Errorf("shares of consecutive numbers: %v", counts)
	}
	for _, tc := range []struct {
		path  string
		pairs []string
		want  string
	}{
		{"/h", []string{"x-n", "2"}, "a"},
		{"/h", []string{"x-n", "3", "x-c", "chosen"}, "chosen"},
		{"/h", []string{"x-n", "3"}, ""},
		{"/h", []string{"x-n", "3", "x-n", "3"}, "a"}, // two lines: by the random number, 0
		{"/h", []string{"x-n", "three"}, "a"},
		{"/c", []string{"x-c", "chosen"}, "chosen"},
		{"/c", nil, ""},
	} {
		h := headers("h", tc.path, tc.pairs...)
		if got := c.Route(h, nil, 0).Cluster(h); got != tc.want {
			t.Errorf("%s %v: %q, want %q", tc.path, tc.pairs, got, tc.want)
		}
	}
}

func TestRuntimeWeights(t *testing.T) {
	o := options()
	o.Runtime = func(key string, def uint64) uint64 {
		if key == "shift.a" {
			return 0
		}
		return def
	}
	c, err := Compile("", parse(t, one(`{match: {prefix: /}, route: {weighted_clusters: {runtime_key_prefix: shift, clusters: [{name: a, weight: 99}, {name: b, weight: 1}]}}}`)), o)
	if err != nil {
		t.Fatal(err)
	}
	h := get("h", "/")
	for random := range uint64(100) {
		if got := c.Route(h, nil, random).Cluster(h); got != "b" {
			t.Fatalf("%d: %s", random, got)
		}
	}
}

type cookies []string

func (c *cookies) SetCookie(line string) { *c = append(*c, line) }

func TestHashKey(t *testing.T) {
	c := compileText(t, one(`
  {match: {path: /header}, route: {cluster: c, hash_policy: [{header: {header_name: X-User}}]}},
  {match: {path: /regex}, route: {cluster: c, hash_policy: [{header: {header_name: x-user, regex_rewrite: {pattern: {regex: "^a(.*)"}, substitution: "\\1"}}}]}},
  {match: {path: /query}, route: {cluster: c, hash_policy: [{query_parameter: {name: q}}]}},
  {match: {path: /ip}, route: {cluster: c, hash_policy: [{connection_properties: {source_ip: true}}]}},
  {match: {path: /cookie}, route: {cluster: c, hash_policy: [{cookie: {name: sid}}]}},
  {match: {path: /two}, route: {cluster: c, hash_policy: [{header: {header_name: x-user}}, {query_parameter: {name: q}}]}},
  {match: {path: /terminal}, route: {cluster: c, hash_policy: [{header: {header_name: x-user}, terminal: true}, {query_parameter: {name: q}}]}},
  {match: {path: /make}, route: {cluster: c, hash_policy: [{cookie: {name: sid, ttl: 5s, path: /p, attributes: [{name: SameSite, value: Strict}, {name: Secure}]}}]}}`))
	info := &streaminfo.Info{
		DownstreamRemote: network.IPAddress(netip.MustParseAddrPort("10.0.0.7:4321")),
		DownstreamLocal:  network.IPAddress(netip.MustParseAddrPort("10.0.0.1:80")),
	}
	sum := xxhash.Sum64String
	two := sum("ann")<<1 | sum("ann")>>63
	seeded := func(a, b string) uint64 {
		d := xxhash.NewWithSeed(sum(a))
		_, _ = d.WriteString(b)
		return d.Sum64()
	}
	for _, tc := range []struct {
		path  string
		pairs []string
		want  uint64
		ok    bool
	}{
		{"/header", []string{"x-user", "ann"}, sum("ann"), true},
		{"/header", []string{"x-user", "b", "x-user", "a"}, seeded("a", "b"), true},
		{"/header", nil, 0, false},
		{"/regex", []string{"x-user", "ann"}, sum("nn"), true},
		{"/query?a=b&q=1", nil, sum("1"), true},
		{"/query", nil, 0, false},
		{"/ip", nil, sum("10.0.0.7"), true},
		{"/cookie", []string{"cookie", "a=b; sid=s"}, sum("s"), true},
		{"/cookie", nil, 0, false},
		{"/two?q=1", []string{"x-user", "ann"}, two ^ sum("1"), true},
		{"/two?q=1", nil, sum("1"), true},
		{"/terminal?q=1", []string{"x-user", "ann"}, sum("ann"), true},
		{"/terminal?q=1", nil, sum("1"), true},
	} {
		h := headers("h", tc.path, tc.pairs...)
		var set cookies
		key, ok := c.Route(h, info, 0).Forward().Hash.Key(h, info, &set)
		if key != tc.want || ok != tc.ok || len(set) > 0 {
			t.Errorf("%s %v: %x %v %v, want %x %v", tc.path, tc.pairs, key, ok, set, tc.want, tc.ok)
		}
	}

	h := headers("h", "/make")
	hash := c.Route(h, info, 0).Forward().Hash
	var set cookies
	key, ok := hash.Key(h, info, &set)
	if !ok || len(set) != 1 {
		t.Fatalf("made no cookie: %v", set)
	}
	value := set[0][len(`sid="`):][:16]
	if want := `sid="` + value + `"; Max-Age=5; Path=/p; SameSite=Strict; Secure; HttpOnly`; set[0] != want || key != sum(value) {
		t.Errorf("cookie %s, key %x; want %s, %x", set[0], key, want, sum(value))
	}
	if h = headers("h", "/make", "cookie", "sid="+value); true {
		again, _ := hash.Key(h, info, &set)
		if again != key || len(set) != 1 {
			t.Errorf("with the cookie: %x, %v", again, set)
		}
	}
}
