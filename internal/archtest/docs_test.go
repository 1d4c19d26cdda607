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
	dir  = regexp.MustCompile(`^(agent|bpf|cmd|deploy|internal|proxy|test|xds)(/[a-z0-9]+)*$`)
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

// TestArchitectureNamesWhatIsThere: the files and packages that
// docs/architecture.md names exist.
func TestArchitectureNamesWhatIsThere(t *testing.T) {
	text := read(t, "docs/architecture.md")
	there := map[string]bool{}
	for _, p := range packages(t) {
		for name := strings.TrimPrefix(p.ImportPath, module); name != "."; name = filepath.Dir(name) {
			there[name] = true
		}
	}
	files, dirs := 0, 0
	for _, m := range code.FindAllStringSubmatch(text, -1) {
		switch {
		case file.MatchString(m[1]):
			files++
			if _, err := os.Stat(filepath.Join(root, m[1])); err != nil {
				t.Errorf("docs/architecture.md names %s: %v", m[1], err)
			}
		case dir.MatchString(m[1]):
			dirs++
			if !there[m[1]] {
				t.Errorf("docs/architecture.md names the package %s, which is not there", m[1])
			}
		}
	}
	if files < 40 || dirs < 40 {
		t.Errorf("only %d files and %d packages found in docs/architecture.md", files, dirs)
	}
}

// TestPackagesSayWhatTheyAreFor: what architecture.md does not name, its own
// comment must tell.
func TestPackagesSayWhatTheyAreFor(t *testing.T) {
	for _, p := range packages(t) {
		if len(p.GoFiles) > 0 && p.Doc == "" && !under(p.ImportPath, "test/") {
			t.Errorf("%s has no package comment", p.ImportPath)
		}
	}
}
