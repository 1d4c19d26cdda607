package decode_test

import (
	"errors"
	"strings"
	"testing"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"

	"github.com/weirproxy/weir/xds/decode"
)

func TestErrors(t *testing.T) {
	for _, tc := range []struct{ doc, want string }{
		{"{\"static_resources\": {\"listeners\": [\n{\"name\": \"a\"},\n{\"foo\": 1}]}}",
			`f.json:3: static_resources.listeners[1].foo: no such field in envoy.config.listener.v3.Listener`},
		{`{"node": {"id": 5}}`, `f.json:1: node.id: want a string, found a number`},
		{`{"node": {"id": "a", "id": "b"}}`, `f.json:1: node.id: set twice`},
		{`{"flags_path": "a", "flagsPath": "b"}`, `f.json:1: flags_path: set twice`},
		{`{"node": []}`, `f.json:1: node: want an object for envoy.config.core.v3.Node, found a list`},
		{`{"node": {"dynamic_parameters": 1}}`, `f.json:1: node.dynamic_parameters: want an object, found a number`},
		{`{"node": {"dynamic_parameters": {"k": null}}}`, `f.json:1: node.dynamic_parameters["k"]: want a value, found null`},
		{`{"admin": {"address": {"pipe": {}, "socket_address": {}}}}`, `f.json:1: admin.address.socket_address: another field of the oneof address is set already`},
		{`{"stats_flush_interval": 5}`, `f.json:1: stats_flush_interval: want a duration such as "1.5s", found a number`},
		{`{"stats_flush_interval": "5"}`, `f.json:1: stats_flush_interval: want a duration such as "1.5s", found "5"`},
		{`{"stats_flush_interval": "400000000000s"}`, `f.json:1: stats_flush_interval: want a duration such as "1.5s", found "400000000000s"`},
		{`{"static_resources": {"clusters": {"type": "NOPE"}}}`, `f.json:1: static_resources.clusters.type: "NOPE" is not a value of envoy.config.cluster.v3.Cluster.DiscoveryType`},
		{`{"concurrency": 1}`, `f.json:1: concurrency: no such field in envoy.config.bootstrap.v3.Bootstrap`},
		{`{"admin": {"address": {"pipe": {"mode": -1}}}}`, `f.json:1: admin.address.pipe.mode: "-1" is not an unsigned 32-bit integer`},
		{`{"admin": {"address": {"pipe": {"mode": 1.5}}}}`, `f.json:1: admin.address.pipe.mode: "1.5" is not an unsigned 32-bit integer`},
		{`{"enable_dispatcher_stats": "yes"}`, `f.json:1: enable_dispatcher_stats: want true or false, found "yes"`},
		{`{"stats_sinks": [{"typed_config": {"@type": "a/b.C"}}]}`, `f.json:1: stats_sinks[0].typed_config: unknown type "a/b.C"`},
		{`{"stats_sinks": [{"typed_config": {"x": 1}}]}`, `f.json:1: stats_sinks[0].typed_config: no "@type"`},
		{`{"stats_sinks": [{"typed_config": {"@type": "a/google.protobuf.Duration", "x": 1}}]}`, `f.json:1: stats_sinks[0].typed_config: want "value" for google.protobuf.Duration, found "x"`},
		{`{"stats_sinks": [{"typed_config": {"@type": "a/envoy.config.metrics.v3.StatsdSink", "x": 1}}]}`, `f.json:1: stats_sinks[0].typed_config.x: no such field in envoy.config.metrics.v3.StatsdSink`},
		{"{\n\"node\" 5}", `f.json:2: JSON: want ':', found '5'`},
		{"{\"node\": {}\n", `f.json:2: JSON: want ',' or '}', the document ends`},
		{`{"node": {},}`, `f.json:1: JSON: want a string, found '}'`},
		{`{} x`, `f.json:1: JSON: want the end of the document, found 'x'`},
		{`{"node": {"id": "a` + "\n", `f.json:1: JSON: want an escape for the control character, found '\n'`},
		{`{"node": {"id": "\ud800"}}`, `f.json:1: JSON: want the second half of a surrogate pair, found '"'`},
		{"{\"node\": {\"id\": \"\xff\"}}", `f.json:1: node.id: the string is not valid UTF-8`},
		{`{"node": {"metadata": ` + strings.Repeat(`{"a": `, 101), `deep`},
		{``, `f.json:1: want an object for envoy.config.bootstrap.v3.Bootstrap, found nothing`},
	} {
		check(t, tc.doc, decode.JSON, "f.json", tc.want)
	}
}

func TestYAMLErrors(t *testing.T) {
	bomb := "a: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
	for i := range 9 {
		l := string(rune('0' + i))
		next := string(rune('1' + i))
		bomb += "b" + next + ": &a" + next + " [" + strings.Repeat("*a"+l+", ", 10) + "]\n"
	}
	for _, tc := range []struct{ doc, want string }{
		{"node:\n  id: a\n cluster: b", `f.yaml:2: YAML: did not find expected key`},
		{"static_resources:\n  listeners:\n  - name: a\n    foo: 1\n", `f.yaml:4: static_resources.listeners[0].foo: no such field in envoy.config.listener.v3.Listener`},
		{"node:\n  # a comment\n  id:\n    - 5\n", `f.yaml:3: node.id: want a string, found a list`},
		{"node:\n  id: 5\n", `f.yaml:2: node.id: want a string, found a number`},
		{"? [a]\n: b", `f.yaml:1: YAML: a key must be a scalar`},
		{"[1]", `f.yaml:1: want an object for envoy.config.bootstrap.v3.Bootstrap, found a list`},
		{"", `f.yaml: the document is empty`},
		{bomb, `the document's aliases make it too large`},
		{"a: &a [*a]", `nested more than 100 deep`},
	} {
		check(t, tc.doc, decode.YAML, "f.yaml", tc.want)
	}
}

// check decodes doc and compares the error; a want without a file name need
// only be part of it.
func check(t *testing.T, doc string, f decode.Format, file, want string) {
	t.Helper()
	err := decode.Unmarshal([]byte(doc), f, &bootstrapv3.Bootstrap{})
	var de *decode.Error
	if !errors.As(err, &de) {
		t.Errorf("%.80s: error %v, want %s", doc, err, want)
		return
	}
	got := de.In(file).Error()
	if got != want && (strings.HasPrefix(want, file) || !strings.Contains(got, want)) {
		t.Errorf("%.80s:\ngot  %s\nwant %s", doc, got, want)
	}
}
