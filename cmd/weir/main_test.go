package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/weirproxy/weir/agent/pods"
)

// The examples are what users begin with: weir must take each of them.
func TestExamples(t *testing.T) {
	files, err := filepath.Glob("../../examples/*.yaml")
	if err != nil || len(files) < 5 {
		t.Fatalf("examples %q, %v", files, err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			if filepath.Base(file) == "agent.yaml" {
				if _, err := pods.Load(file); err != nil {
					t.Error(err)
				}
				return
			}
			cmd := root()
			cmd.SetArgs([]string{"proxy", "-c", file, "--mode", "validate", "-l", "error"})
			if err := cmd.Execute(); err != nil {
				t.Error(err)
			}
		})
	}
}

// each calls f with every subcommand but cobra's own.
func each(cmd *cobra.Command, f func(*cobra.Command)) {
	for _, c := range cmd.Commands() {
		if c.Name() == "help" || c.Name() == "completion" {
			continue
		}
		f(c)
		each(c, f)
	}
}

func TestEveryCommandHasHelpAndExamples(t *testing.T) {
	each(root(), func(c *cobra.Command) {
		if c.Short == "" {
			t.Errorf("%s: no short help", c.CommandPath())
		}
		if c.Runnable() && !strings.Contains(c.Example, c.CommandPath()) {
			t.Errorf("%s: no example of it:\n%s", c.CommandPath(), c.Example)
		}
		var out bytes.Buffer
		c.SetOut(&out)
		if err := c.Help(); err != nil || out.Len() == 0 {
			t.Errorf("%s --help: %v", c.CommandPath(), err)
		}
	})
}

func TestCompletion(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want []string
	}{
		{[]string{"ag"}, []string{"agent"}},
		{[]string{"proxy", "--mode", ""}, []string{"serve", "validate", "init_only"}},
		{[]string{"proxy", "-l", "w"}, []string{"warning"}},
		{[]string{"agent", "status", "-o", ""}, []string{"table", "json", "yaml"}},
		{[]string{"agent", "add-pod", "--policy", ""}, []string{"closed", "open"}},
	} {
		cmd := root()
		var out bytes.Buffer
		cmd.SetOut(&out)
		cmd.SetArgs(append([]string{cobra.ShellCompRequestCmd}, tt.args...))
		if err := cmd.Execute(); err != nil {
			t.Fatal(err)
		}
		var words []string
		for line := range strings.Lines(out.String()) {
			word, _, _ := strings.Cut(strings.TrimSpace(line), "\t")
			words = append(words, word)
		}
		for _, w := range tt.want {
			if !slices.Contains(words, w) {
				t.Errorf("%q completes to %q, want %q", tt.args, words, tt.want)
			}
		}
	}
}

// The command lines of the systemd units are ones that weir has.
func TestSystemdUnits(t *testing.T) {
	units, err := filepath.Glob("../../deploy/systemd/*.service")
	if err != nil || len(units) == 0 {
		t.Fatalf("units %q, %v", units, err)
	}
	for _, unit := range units {
		text, err := os.ReadFile(unit)
		if err != nil {
			t.Fatal(err)
		}
		lines := regexp.MustCompile(`(?m)^ExecStart(?:Pre)?=/usr/local/bin/weir (.*)$`).FindAllStringSubmatch(string(text), -1)
		if len(lines) == 0 {
			t.Errorf("%s starts no weir", unit)
		}
		for _, line := range lines {
			// The user is there only once it is installed.
			args := strings.Fields(strings.Replace(line[1], "--proxy-uid weir", "--proxy-uid root", 1))
			for len(args) > 0 {
				cmd, rest, err := root().Find(args)
				if err == nil {
					err = cmd.ParseFlags(rest)
				}
				args = cmd.Flags().Args()
				if supervised := cmd.Name() == "supervise" && len(args) > 0; err != nil || len(args) > 0 && !supervised {
					t.Errorf("%s: weir %s: %v, left over %q", filepath.Base(unit), line[1], err, args)
					break
				}
			}
		}
	}
}
