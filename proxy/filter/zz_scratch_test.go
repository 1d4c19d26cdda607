package filter

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/anypb"
	"sigs.k8s.io/yaml"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/stats"
	"github.com/weirproxy/weir/proxy/upstream"
)

func TestScratch(t *testing.T) {
	loop, _ := network.NewLoop("x", 0)
	ctx := &http.FactoryContext{Stats: stats.NewStore(loop), StatPrefix: "in", Loops: []*network.Loop{loop}}
	makers := HTTP(func(int) *upstream.Table { return nil })
	routes := map[string]http.FilterMaker{}
	for _, m := range makers {
		if m.RouteTypeURL != "" {
			routes[m.RouteTypeURL] = m
		}
	}
	bad := map[string]int{}
	good := map[string]int{}
	var walk func(x any, file string)
	walk = func(x any, file string) {
		switch v := x.(type) {
		case map[string]any:
			url, _ := v["@type"].(string)
			short := url[strings.LastIndex(url, "/")+1:]
			for _, want := range []string{"ext_authz", "lua.v3", "compressor.v3", "jwt_authn", "http.ratelimit", "ext_proc"} {
				if !strings.Contains(url, "filters.http.") || !strings.Contains(url, want) {
					continue
				}
				j, _ := json.Marshal(v)
				a := &anypb.Any{}
				err := protojson.UnmarshalOptions{DiscardUnknown: false}.Unmarshal(j, a)
				if err == nil {
					func() {
						defer func() { if p := recover(); p != nil && !strings.Contains(fmt.Sprint(p), "nil pointer") { err = fmt.Errorf("panic %v", p) } }()
						if m, ok := makers[url]; ok {
							_, err = m.New(field.Path(""), a, ctx)
						} else if m, ok := routes[url]; ok {
							_, err = m.RouteConfig(field.Path(""), a, ctx)
						} else { err = fmt.Errorf("no maker") }
					}()
				}
				if err != nil {
					bad[short+": "+err.Error()]++
					if bad[short+": "+err.Error()] == 1 { t.Log(file) }
				} else { good[short]++ }
			}
			for _, y := range v { walk(y, file) }
		case []any:
			for _, y := range v { walk(y, file) }
		}
	}
	filepath.Walk("/work/shared/corpora", func(p string, i os.FileInfo, err error) error {
		if err != nil || i.IsDir() { return nil }
		b, _ := os.ReadFile(p)
		for _, doc := range strings.Split(string(b), "\n---\n") {
			var x any
			if yaml.Unmarshal([]byte(doc), &x) == nil { walk(x, p) }
		}
		return nil
	})
	for k, n := range good { t.Log("good", k, n) }
	for k, n := range bad { t.Log("BAD", n, k) }
}
