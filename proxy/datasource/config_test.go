package datasource

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
)

func TestRead(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("from a file"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("WEIR_DATASOURCE", "from the environment")
	inline := func(s string) *corev3.DataSource {
		return &corev3.DataSource{Specifier: &corev3.DataSource_InlineString{InlineString: s}}
	}
	env := func(name string) *corev3.DataSource {
		return &corev3.DataSource{Specifier: &corev3.DataSource_EnvironmentVariable{EnvironmentVariable: name}}
	}
	named := func(name string) *corev3.DataSource {
		return &corev3.DataSource{Specifier: &corev3.DataSource_Filename{Filename: name}}
	}
	watched := named(file)
	watched.WatchedDirectory = &corev3.WatchedDirectory{Path: filepath.Dir(file)}
	for _, c := range []struct {
		name      string
		source    *corev3.DataSource
		want, err string
	}{
		{name: "inline", source: inline("x"), want: "x"},
		{name: "bytes", source: &corev3.DataSource{Specifier: &corev3.DataSource_InlineBytes{InlineBytes: []byte("y")}}, want: "y"},
		{name: "environment", source: env("WEIR_DATASOURCE"), want: "from the environment"},
		{name: "file", source: named(file), want: "from a file"},
		{name: "nothing", source: &corev3.DataSource{}, err: "at: one of filename"},
		{name: "absent", source: nil, err: "at: one of filename"},
		{name: "no such variable", source: env("WEIR_NOT_THERE"), err: `at.environment_variable: "WEIR_NOT_THERE" is not set`},
		{name: "no such file", source: named(file + "2"), err: "at.filename: stat "},
		{name: "too long", source: inline(strings.Repeat("x", 21)), err: "at: 21 bytes; at most 20"},
		{name: "a file without a size", source: named("/proc/self/status"), err: "at.filename: /proc/self/status has "},
		{name: "watched", source: watched, err: "at: weir does not support watched_directory here"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := ReadAtMost("at", c.source, 20)
			switch {
			case c.err == "" && (err != nil || got != c.want):
				t.Errorf("%q, %v; want %q", got, err, c.want)
			case c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)):
				t.Errorf("%q, %v; want the error %q", got, err, c.err)
			}
		})
	}
	if got, err := ReadWatched("at", watched, 20); err != nil || got != "from a file" {
		t.Errorf("watched: %q, %v", got, err)
	}
}
