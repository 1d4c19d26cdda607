package decode

import (
	"bytes"
	"errors"
	"regexp"
	"strconv"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// line says that the JSON from offset on comes from that line of the YAML.
type line struct{ offset, number int }

// yamlToJSON rewrites the first document of a YAML stream as JSON, reading
// scalars as yaml-cpp does in Envoy's loader: plain yes/no/on/off and true/false
// are booleans, plain integers (also 0x10 and 010) are numbers, all else is a
// string, which the fields' types then make a number, an enum, a duration.
func yamlToJSON(data []byte) ([]byte, []line, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return nil, nil, yamlError(err)
	}
	w := yamlWriter{budget: 1000 + 20*len(data)}
	if len(doc.Content) == 0 {
		return nil, nil, &Error{Err: errors.New("the document is empty")}
	}
	if err := w.node(doc.Content[0], 0); err != nil {
		return nil, nil, err
	}
	return w.out.Bytes(), w.lines, nil
}

var yamlLine = regexp.MustCompile(`^yaml: line (\d+): `)

func yamlError(err error) error {
	msg := err.Error()
	if m := yamlLine.FindStringSubmatch(msg); m != nil {
		n, _ := strconv.Atoi(m[1])
		return &Error{Line: n, Err: errors.New("YAML: " + msg[len(m[0]):])}
	}
	return &Error{Err: err}
}

type yamlWriter struct {
	out    bytes.Buffer
	lines  []line
	budget int // bytes that may yet be written: aliases can multiply a small file
}

func (w *yamlWriter) errorf(n *yaml.Node, msg string) error {
	return &Error{Line: n.Line, Err: errors.New("YAML: " + msg)}
}

func (w *yamlWriter) node(n *yaml.Node, depth int) error {
	if depth > maxDepth {
		return w.errorf(n, errTooDeep.Error())
	}
	if w.out.Len() > w.budget {
		return w.errorf(n, "the document's aliases make it too large")
	}
	if len(w.lines) == 0 || w.lines[len(w.lines)-1].number != n.Line {
		w.lines = append(w.lines, line{w.out.Len(), n.Line})
	}
	switch n.Kind {
	case yaml.AliasNode:
		return w.node(n.Alias, depth+1)
	case yaml.MappingNode:
		return w.mapping(n, depth)
	case yaml.SequenceNode:
		w.out.WriteByte('[')
		for i, c := range n.Content {
			if i > 0 {
				w.out.WriteByte(',')
			}
			if err := w.node(c, depth+1); err != nil {
				return err
			}
		}
		w.out.WriteByte(']')
		return nil
	}
	return w.scalar(n)
}

func (w *yamlWriter) mapping(n *yaml.Node, depth int) error {
	w.out.WriteByte('{')
	first := true
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		if key.Kind == yaml.AliasNode {
			key = key.Alias
		}
		if key.Kind != yaml.ScalarNode {
			return w.errorf(key, "a key must be a scalar")
		}
		if key.Tag == "!ignore" { // Envoy's tag for blocks that only hold anchors
			continue
		}
		if !first {
			w.out.WriteByte(',')
		}
		first = false
		w.lines = append(w.lines, line{w.out.Len(), key.Line})
		w.quote(key.Value)
		w.out.WriteByte(':')
		if err := w.node(n.Content[i+1], depth+1); err != nil {
			return err
		}
	}
	w.out.WriteByte('}')
	return nil
}

func (w *yamlWriter) scalar(n *yaml.Node) error {
	if !utf8.ValidString(n.Value) {
		return w.errorf(n, "the scalar is not valid UTF-8")
	}
	plain := n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) == 0
	if !plain || n.Style&yaml.TaggedStyle != 0 && n.ShortTag() == "!!str" {
		w.quote(n.Value)
		return nil
	}
	switch n.Value {
	case "", "~", "null", "Null", "NULL":
		w.out.WriteString("null")
	case "y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON":
		w.out.WriteString("true")
	case "n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF":
		w.out.WriteString("false")
	default:
		w.plain(n.Value)
	}
	return nil
}

var yamlInteger = regexp.MustCompile(`^[+-]?(0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)$`)

func (w *yamlWriter) plain(s string) {
	if yamlInteger.MatchString(s) {
		if v, err := strconv.ParseInt(s, 0, 64); err == nil {
			text := strconv.FormatInt(v, 10)
			// As Envoy: what does not fit 32 bits stays exact as a string.
			if int64(int32(v)) != v {
				text = `"` + text + `"`
			}
			w.out.WriteString(text)
			return
		}
	}
	w.quote(s)
}

func (w *yamlWriter) quote(s string) {
	w.out.WriteByte('"')
	for _, c := range []byte(s) {
		switch {
		case c == '"' || c == '\\':
			w.out.WriteByte('\\')
			w.out.WriteByte(c)
		case c < ' ':
			const hex = "0123456789abcdef"
			w.out.WriteString(`\u00`)
			w.out.WriteByte(hex[c>>4])
			w.out.WriteByte(hex[c&15])
		default:
			w.out.WriteByte(c)
		}
	}
	w.out.WriteByte('"')
}
