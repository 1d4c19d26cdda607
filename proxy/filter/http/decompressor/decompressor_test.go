package decompressor_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"math/rand/v2"
	stdhttp "net/http"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"

	"github.com/weirproxy/weir/internal/filterrig"
	"github.com/weirproxy/weir/internal/httprig"
	"github.com/weirproxy/weir/proxy/filter/http/decompressor"
)

func filter(library string) string {
	return filterrig.Filter("d", decompressor.TypeURL, `decompressor_library: {name: d, typed_config: {"@type": type.googleapis.com/envoy.extensions.compression.`+library+`}}`)
}

const gzipLib = "gzip.decompressor.v3.Gzip"

func compress(t *testing.T, coding, text string) string {
	t.Helper()
	var b bytes.Buffer
	var w io.WriteCloser
	switch coding {
	case "gzip":
		w = gzip.NewWriter(&b)
	case "br":
		w = brotli.NewWriter(&b)
	case "zstd":
		w, _ = zstd.NewWriter(&b)
	}
	io.WriteString(w, text)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// noise is text that compresses a little.
func noise(n int) string {
	r := rand.New(rand.NewPCG(1, 2))
	b := make([]byte, n)
	for i := range b {
		b[i] = "abcdefgh"[r.IntN(8)]
	}
	return string(b)
}

func TestLibraries(t *testing.T) {
	for coding, lib := range map[string]string{"gzip": gzipLib, "br": "brotli.decompressor.v3.Brotli", "zstd": "zstd.decompressor.v3.Zstd"} {
		t.Run(coding, func(t *testing.T) {
			r := filterrig.Start(t, httprig.Options{}, "", filter(lib))
			for _, n := range []int{0, 10, 500_000} {
				want := noise(n)
				a := r.Do("POST", "/", compress(t, coding, want), "content-encoding", coding+", x")
				head, body, _ := strings.Cut(a.Body, "\n\n")
				if a.Status != 200 || body != want || !strings.Contains(head, "content-encoding: x\n") || !strings.Contains(head, "accept-encoding: "+coding) {
					t.Errorf("%d bytes: %d, %d bytes arrived: %s", n, a.Status, len(body), head)
				}
			}
		})
	}
}

func TestResponses(t *testing.T) {
	r := filterrig.Start(t, httprig.Options{}, "{match: {prefix: /}, route: {cluster: zipped}}", filter(gzipLib))
	want := noise(300_000)
	zipped := compress(t, "gzip", want)
	r.Cluster("zipped", "", r.Upstream(func(w stdhttp.ResponseWriter, q *stdhttp.Request) {
		if q.URL.Path == "/plain" {
			io.WriteString(w, want)
			return
		}
		w.Header().Set("content-encoding", "gzip")
		if q.URL.Path == "/cached" {
			w.Header().Set("cache-control", "public, no-transform")
		}
		io.WriteString(w, zipped)
	}))
	for path, wanted := range map[string]string{"/": want, "/plain": want, "/cached": zipped} {
		if a := r.Get(path); a.Status != 200 || a.Body != wanted {
			t.Errorf("%s: %d, %d bytes, want %d", path, a.Status, len(a.Body), len(wanted))
		}
	}
	r.WantStat("http.in.decompressor.d.gzip.response.decompressed", "1")
	r.WantStat("http.in.decompressor.d.gzip.response.not_decompressed", "2")
}

// TestHostile: bodies that are not what they say, and those that would fill
// the memory, end their requests and no others.
func TestHostile(t *testing.T) {
	r := filterrig.Start(t, httprig.Options{}, "", filter(gzipLib))
	good := compress(t, "gzip", noise(1000))
	for name, body := range map[string]string{
		"not compressed": "plain text",
		"cut off":        good[:len(good)/2],
		"changed":        good[:len(good)-6] + "xxxxxx",
		"a bomb":         compress(t, "gzip", strings.Repeat("x", 8<<20)),
	} {
		q, err := stdhttp.NewRequest("POST", "http://"+r.Address+"/", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		q.Header.Set("content-encoding", "gzip")
		resp, err := stdhttp.DefaultTransport.RoundTrip(q)
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == 200 {
				t.Errorf("%s: %d", name, resp.StatusCode)
			}
		}
	}
	if a := r.Do("POST", "/", good, "content-encoding", "gzip"); a.Status != 200 {
		t.Errorf("afterwards: %+v", a)
	}
}

func TestRefused(t *testing.T) {
	filterrig.WantRefused(t, "dictionaries", "", filterrig.Filter("d", decompressor.TypeURL, `decompressor_library: {name: d, typed_config: {"@type": type.googleapis.com/envoy.extensions.compression.zstd.decompressor.v3.Zstd, dictionaries: [{inline_string: x}]}}`))
}
