package doctor

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"io"
	"path"
	"time"
)

// archive is the .tar.gz that is written. err is the first error of writing it.
type archive struct {
	dir  string // all files are below it
	zip  *gzip.Writer
	tar  *tar.Writer
	when time.Time
	err  error
}

func newArchive(w io.Writer, dir string, when time.Time) *archive {
	zip := gzip.NewWriter(w)
	return &archive{dir: dir, zip: zip, tar: tar.NewWriter(zip), when: when}
}

// add adds a file, or NAME.error if there is none to add.
func (a *archive) add(name string, text []byte, err error) {
	if err != nil {
		if len(text) > 0 {
			a.write(name, text)
		}
		name, text = name+".error", []byte(err.Error()+"\n")
	}
	a.write(name, text)
}

func (a *archive) write(name string, text []byte) {
	if a.err != nil {
		return
	}
	a.err = a.tar.WriteHeader(&tar.Header{
		Name: path.Join(a.dir, name), Mode: 0o600, Size: int64(len(text)), ModTime: a.when,
	})
	if a.err == nil {
		_, a.err = a.tar.Write(text)
	}
}

func (a *archive) close() error {
	return errors.Join(a.err, a.tar.Close(), a.zip.Close())
}
