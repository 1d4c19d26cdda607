package testbinary

import (
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"sync"
	"testing"
)

const module = "github.com/weirproxy/weir/"

// Weir is the weir to test: $WEIR, or else one built from this tree.
var Weir = sync.OnceValues(func() (string, error) {
	if w := os.Getenv("WEIR"); w != "" {
		return filepath.Abs(w)
	}
	return Build("cmd/weir")
})

// directory is where what is built lies; "" before anything is.
var directory struct {
	sync.Mutex
	path string
}

// Build builds one of this module's packages: cmd/weir.
func Build(pkg string) (string, error) {
	dir, err := makeDirectory()
	if err != nil {
		return "", err
	}
	binary := filepath.Join(dir, path.Base(pkg))
	if out, err := exec.Command("go", "build", "-o", binary, module+pkg).CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build %s: %w\n%s", pkg, err, out)
	}
	return binary, nil
}

func makeDirectory() (string, error) {
	directory.Lock()
	defer directory.Unlock()
	if directory.path != "" {
		return directory.path, nil
	}
	var err error
	directory.path, err = os.MkdirTemp("", "weir-testbinary-")
	return directory.path, err
}

// Clean removes what was built.
func Clean() {
	directory.Lock()
	defer directory.Unlock()
	if directory.path != "" {
		os.RemoveAll(directory.path)
	}
}

// Main is the TestMain of a package that has nothing else to do there.
func Main(m *testing.M) {
	code := m.Run()
	Clean()
	os.Exit(code)
}
