package decode

import (
	"bytes"
	"path/filepath"
	"strings"

	"google.golang.org/protobuf/proto"
)

// Format is how a document is written.
type Format int

const (
	JSON Format = iota
	YAML
)

// FormatOf is the format of a file by its name, and where that says nothing by
// its first byte.
func FormatOf(name string, data []byte) Format {
	switch strings.ToLower(filepath.Ext(name)) {
	case ".yaml", ".yml":
		return YAML
	case ".json":
		return JSON
	}
	if d := bytes.TrimLeft(data, " \t\r\n"); len(d) > 0 && d[0] == '{' {
		return JSON
	}
	return YAML
}

// maxDepth bounds the nesting of a document, as protobuf's parsers do.
const maxDepth = 100

// Unmarshal merges the document into m, like proto.Merge: repeated fields are
// appended to, singular ones overwritten. Errors are of type *[Error].
func Unmarshal(data []byte, f Format, m proto.Message) error {
	var lines []line
	if f == YAML {
		var err error
		if data, lines, err = yamlToJSON(data); err != nil {
			return err
		}
	}
	t := &transcoder{scanner: scanner{in: data}, out: make([]byte, 0, len(data)/2), types: map[string]*message{}}
	if err := t.document(m.ProtoReflect().Descriptor()); err != nil {
		return t.locate(err, lines)
	}
	if err := (proto.UnmarshalOptions{Merge: true}).Unmarshal(t.out, m); err != nil {
		return &Error{Err: err}
	}
	return nil
}
