package bootstrap

import (
	"os"
	"path/filepath"
	"testing"
)

func TestTmpCorpora(t *testing.T) {
	files, _ := filepath.Glob("/work/shared/corpora/*/*")
	for _, f := range files {
		if _, err := Load(Options{ConfigPath: f}); err != nil {
			t.Error(err)
		}
	}
	t.Log(len(files))
	_ = os.Args
}
