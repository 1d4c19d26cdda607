package lua_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"io"
	stdhttp "net/http"
	"strings"
	"testing"

	"github.com/weirproxy/weir/internal/filterrig"
	"github.com/weirproxy/weir/internal/httprig"
	"github.com/weirproxy/weir/proxy/filter/http/lua"
)

func start(t *testing.T, script string) *filterrig.Rig {
	t.Helper()
	r := filterrig.Start(t, httprig.Options{}, "", filterrig.Filter("lua", lua.TypeURL, fmt.Sprintf("default_source_code: {inline_string: %q}", script)))
	r.Cluster("called", "", r.Upstream(func(w stdhttp.ResponseWriter, q *stdhttp.Request) {
		b, _ := io.ReadAll(q.Body)
		w.Header().Set("x-answer", "yes")
		fmt.Fprintf(w, "%s %s", q.URL.Path, b)
	}))
	return r
}

func TestBody(t *testing.T) {
	r := start(t, `
		function envoy_on_request(h)
			local b = h:body()
			if b then h:headers():add("x-body", b:getBytes(0, 2)) b:setBytes(string.upper(b:getBytes(0, b:length()))) end
		end
		function envoy_on_response(h)
			local n = 0
			for chunk in h:bodyChunks() do n = n + chunk:length() end
			h:streamInfo():dynamicMetadata():set("lua", "n", n)
		end`)
	a := r.Do("POST", "/", "hello")
	if !strings.HasSuffix(a.Body, "\n\nHELLO") || !strings.Contains(a.Body, "x-body: he\n") {
		t.Errorf("%+v", a)
	}
	r.Get("/")
	r.WantStat("http.in.lua.errors", "0")
	r.WantStat("http.in.lua.executions", "4")
}

// TestBodyOfNone: what a script makes the body of a message that has none is
// sent.
func TestBodyOfNone(t *testing.T) {
	r := start(t, `
		function envoy_on_request(h)
			h:body(true):setBytes("asked")
		end`)
	if a := r.Get("/"); !strings.HasSuffix(a.Body, "\n\nasked") {
		t.Errorf("%+v", a)
	}
}

// TestYieldThroughPcall: Lua 5.1 can't, LuaJIT and weir can.
func TestYieldThroughPcall(t *testing.T) {
	r := start(t, `
		function envoy_on_request(h)
			local ok, headers, body = pcall(function()
				return h:httpCall("called", {[":method"] = "POST", [":path"] = "/p", [":authority"] = "a"}, "data", 5000)
			end)
			h:headers():add("x-ok", tostring(ok) .. headers["x-answer"] .. body)
			local failed, why = pcall(error, {code = 7})
			h:headers():add("x-failed", tostring(failed) .. why.code)
			local _, handled = xpcall(function() error("e", 0) end, function(m) return "handled " .. m end)
			h:headers():add("x-handled", handled)
			local gen = coroutine.wrap(function() for i = 1, 3 do coroutine.yield(i) end end)
			h:headers():add("x-gen", gen() + gen() + gen())
		end`)
	a := r.Get("/")
	for _, want := range []string{"x-ok: trueyes/p data\n", "x-failed: false7\n", "x-handled: handled e\n", "x-gen: 6\n"} {
		if !strings.Contains(a.Body, want) {
			t.Errorf("no %q in %s", want, a.Body)
		}
	}
	r.WantStat("http.in.lua.errors", "0")
}

// TestRunaway: a script that computes for ever is stopped, and the next
// stream has a machine again.
func TestRunaway(t *testing.T) {
	r := start(t, `
		function envoy_on_request(h)
			local p = h:headers():get(":path")
			if p == "/loop" then while true do end end
			if p == "/pcall" then pcall(function() while true do end end) while true do end end
			if p == "/deep" then local function f() return 1 + f() end f() end
			h:headers():add("x-end", "yes")
		end`)
	for _, path := range []string{"/loop", "/pcall", "/deep"} {
		if a := r.Get(path); a.Status != 200 || strings.Contains(a.Body, "x-end") {
			t.Errorf("%s: %+v", path, a)
		}
		if a := r.Get("/"); !strings.Contains(a.Body, "x-end: yes\n") {
			t.Errorf("after %s: %+v", path, a)
		}
	}
	r.WantStat("http.in.lua.errors", "3")
}

func TestVerifySignature(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, _ := x509.MarshalPKIXPublicKey(&key.PublicKey)
	digest := sha256.Sum256([]byte("data"))
	sig, _ := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, digest[:])
	r := start(t, fmt.Sprintf(`
		local function bytes(hex) return (hex:gsub("..", function(x) return string.char(tonumber(x, 16)) end)) end
		function envoy_on_request(h)
			local der, sig = bytes("%s"), bytes("%s")
			local key = h:importPublicKey(der, #der):get()
			local good = h:verifySignature("SHA256", key, sig, #sig, "data", 4)
			local bad, why = h:verifySignature("SHA256", key, sig, #sig, "date", 4)
			h:headers():add("x-verified", tostring(good) .. tostring(bad) .. why)
		end`, hex.EncodeToString(der), hex.EncodeToString(sig)))
	if a := r.Get("/"); !strings.Contains(a.Body, "x-verified: truefalseFailed to verify digest.") {
		t.Errorf("%+v", a)
	}
}

// TestScope: what a script keeps of a stream is dead afterwards.
func TestScope(t *testing.T) {
	r := start(t, `
		function envoy_on_request(h)
			if kept then kept:headers() end
			kept = h
		end`)
	r.Get("/")
	r.Get("/")
	r.WantStat("http.in.lua.errors", "1")
}

func TestSandbox(t *testing.T) {
	r := start(t, `function envoy_on_request(h)
		h:headers():add("x-absent", tostring(io) .. tostring(os.execute) .. tostring(require) .. tostring(dofile) .. tostring(debug.getinfo))
	end`)
	if a := r.Get("/"); !strings.Contains(a.Body, "x-absent: nilnilnilnilnil\n") {
		t.Errorf("%+v", a)
	}
}

func TestRefused(t *testing.T) {
	for want, config := range map[string]string{
		"script load error":                   `default_source_code: {inline_string: "function f("}`,
		"attempt to call a non-function":      `default_source_code: {inline_string: "nothing()"}`,
		"must not both be set":                `inline_code: "x = 1", default_source_code: {inline_string: "x = 1"}`,
		"weir does not support package_paths": `package_paths: ["/x"]`,
	} {
		filterrig.WantRefused(t, want, "", filterrig.Filter("lua", lua.TypeURL, config))
	}
}
