package archtest

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const root = "../.."

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, file))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var (
	link = regexp.MustCompile(`\]\(([^)#]+)[^)]*\)`)
	code = regexp.MustCompile("`([^`\n]+)`")
	file = regexp.MustCompile(`^[\w-]+(/[\w.-]+)+\.(go|c|h|yaml)$`)
)

// TestDocsLinkToWhatIsThere: links of README and docs within the repository.
func TestDocsLinkToWhatIsThere(t *testing.T) {
	docs, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil || len(docs) == 0 {
		t.Fatalf("docs %q, %v", docs, err)
	}
	for _, doc := range append(docs, filepath.Join(root, "README.md")) {
		text, err := os.ReadFile(doc)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(string(text), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			if _, err := os.Stat(filepath.Join(filepath.Dir(doc), m[1])); err != nil {
				t.Errorf("%s links to %s: %v", filepath.Base(doc), m[1], err)
			}
		}
	}
}

// TestArchitectureNamesWhatIsThere: every file that docs/architecture.md
// names, and every package in it.
func TestArchitectureNamesWhatIsThere(t *testing.T) {
	text := read(t, "docs/architecture.md")
	named := map[string]bool{}
	files := 0
	for _, m := range code.FindAllStringSubmatch(text, -1) {
		named[m[1]] = true
		if !file.MatchString(m[1]) {
			continue
		}
		files++
		if _, err := os.Stat(filepath.Join(root, m[1])); err != nil {
			t.Errorf("docs/architecture.md names %s: %v", m[1], err)
		}
	}
	if files < 40 {
		t.Errorf("only %d files found in docs/architecture.md", files)
	}
	for _, p := range packages(t) {
		name := strings.TrimPrefix(p.ImportPath, module)
		for prefix := range named { // a package of filters stands for all of them
			if strings.HasPrefix(prefix, "proxy/filter/") && strings.HasPrefix(name, prefix+"/") {
				named[name] = true
			}
		}
		if !named[name] {
			t.Errorf("docs/architecture.md does not name %s: say there what it is for", name)
		}
	}
}
