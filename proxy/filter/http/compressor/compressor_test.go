package compressor_test

import (
	"compress/gzip"
	"io"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"

	"github.com/weirproxy/weir/internal/filterrig"
	"github.com/weirproxy/weir/internal/httprig"
	"github.com/weirproxy/weir/proxy/filter/http/compressor"
)

const long = "text that is longer than thirty bytes, so that it is worth it"

func filter(name, library, config string) string {
	if config != "" {
		config += ", "
	}
	return filterrig.Filter(name, compressor.TypeURL, config+`compressor_library: {name: `+name+`, typed_config: {"@type": type.googleapis.com/envoy.extensions.compression.`+library+`}}`)
}

const (
	gzipLib   = "gzip.compressor.v3.Gzip"
	brotliLib = "brotli.compressor.v3.Brotli"
	zstdLib   = "zstd.compressor.v3.Zstd"
)

func decode(t *testing.T, a filterrig.Answer) string {
	t.Helper()
	var r io.Reader = strings.NewReader(a.Body)
	var err error
	switch a.Header.Get("content-encoding") {
	case "gzip":
		r, err = gzip.NewReader(r)
	case "br":
		r = brotli.NewReader(r)
	case "zstd":
		r, err = zstd.NewReader(r)
	}
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestLibraries: each library's responses decompress, streamed, with trailers
// and with a recycled encoder.
func TestLibraries(t *testing.T) {
	for coding, lib := range map[string]string{"gzip": gzipLib, "br": brotliLib, "zstd": zstdLib} {
		t.Run(coding, func(t *testing.T) {
			r := filterrig.Start(t, httprig.Options{}, "", filter("c", lib, ""))
			for range 3 {
				a := r.Get("/", "accept-encoding", coding, "x-do", "header=content-type:text/plain;body="+long)
				if got := a.Header.Get("content-encoding"); got != coding || decode(t, a) != long {
					t.Fatalf("%q: %+v", got, a)
				}
			}
			a := r.Get("/", "accept-encoding", coding, "x-do", "header=content-type:text/plain;trailer=x-end:yes;body="+long)
			if decode(t, a) != long {
				t.Errorf("with trailers: %+v", a)
			}
		})
	}
}

// TestChoice: which of three filters a client gets.
func TestChoice(t *testing.T) {
	r := filterrig.Start(t, httprig.Options{}, "", filter("a", gzipLib, ""), filter("b", brotliLib, ""), filter("c", zstdLib, "choose_first: true"))
	for accept, want := range map[string]string{
		"gzip": "gzip", "br, gzip": "br", "gzip, br, zstd": "zstd", "br;q=0.4,gzip;q=0.6": "gzip", "*": "gzip",
		"identity, br;q=0.9": "", "deflate": "", "gzip;q=0": "", "gzip;q=x, br;q=0.1": "br",
	} {
		a := r.Get("/", "accept-encoding", accept, "x-do", "header=content-type:text/plain;body="+long)
		if got := a.Header.Get("content-encoding"); got != want || decode(t, a) != long {
			t.Errorf("%q: %q, want %q", accept, got, want)
		}
		if a.Header.Get("vary") != "Accept-Encoding" {
			t.Errorf("%q: vary %q", accept, a.Header.Get("vary"))
		}
	}
	r.WantStat("http.in.compressor.a.gzip.header_wildcard", "1")
}

func TestRequests(t *testing.T) {
	r := filterrig.Start(t, httprig.Options{}, "", filter("c", gzipLib, "request_direction_config: {}"))
	a := r.Do("POST", "/", long, "content-type", "text/plain")
	_, body, _ := strings.Cut(a.Body, "\n\n")
	z, err := gzip.NewReader(strings.NewReader(body))
	if err != nil {
		t.Fatalf("%v in %+v", err, a)
	}
	if b, _ := io.ReadAll(z); string(b) != long || !strings.Contains(a.Body, "content-encoding: gzip\n") {
		t.Errorf("%q", b)
	}
	r.WantStat("http.in.compressor.c.gzip.request.compressed", "1")
}

func TestRoutes(t *testing.T) {
	route := func(prefix, config string) string {
		return filterrig.Route(prefix, "c", compressor.RouteTypeURL, config)
	}
	r := filterrig.Start(t, httprig.Options{}, route("/off", "disabled: true")+","+
		route("/br", `overrides: {compressor_library: {name: c, typed_config: {"@type": type.googleapis.com/envoy.extensions.compression.brotli.compressor.v3.Brotli}}}`)+
		", {match: {prefix: /}, route: {cluster: u}}", filter("c", gzipLib, ""))
	for path, want := range map[string]string{"/off": "", "/br": "br", "/": "gzip"} {
		a := r.Get(path, "accept-encoding", "gzip, br", "x-do", "header=content-type:text/plain;body="+long)
		if path == "/br" {
			a = r.Get(path, "accept-encoding", "br", "x-do", "header=content-type:text/plain;body="+long)
		}
		if got := a.Header.Get("content-encoding"); got != want || decode(t, a) != long {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
}

func TestRefused(t *testing.T) {
	filterrig.WantRefused(t, "dictionary", "", filterrig.Filter("c", compressor.TypeURL, `compressor_library: {name: c, typed_config: {"@type": type.googleapis.com/envoy.extensions.compression.zstd.compressor.v3.Zstd, dictionary: {inline_string: x}}}`))
	filterrig.WantRefused(t, "no compressor library", "", filterrig.Filter("c", compressor.TypeURL, `compressor_library: {name: c, typed_config: {"@type": type.googleapis.com/google.protobuf.Empty}}`))
	filterrig.WantRefused(t, "must not both be set", "", filter("c", gzipLib, "response_direction_config: {disable_on_etag_header: true, weaken_etag_on_compress: true}"))
}
