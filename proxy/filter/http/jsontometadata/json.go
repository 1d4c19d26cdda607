package jsontometadata

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"unicode/utf8"
)

// integer is a number of JSON without fraction and exponent.
type integer int64

var errTrailing = errors.New("there is more behind the value")

// parse reads a whole body. Its numbers are json.Number, and fit what scalar
// makes of them.
func parse(body []byte) (v any, err error) {
	if !utf8.Valid(body) {
		return nil, errors.New("not UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errTrailing
	}
	return v, checkNumbers(v)
}

// checkNumbers refuses documents with numbers that are too large, as Envoy's
// parser does.
func checkNumbers(v any) (err error) {
	switch v := v.(type) {
	case json.Number:
		_, err = number(v)
	case []any:
		for i := 0; i < len(v) && err == nil; i++ {
			err = checkNumbers(v[i])
		}
	case map[string]any:
		for _, x := range v {
			if err = checkNumbers(x); err != nil {
				break
			}
		}
	}
	return err
}

func number(n json.Number) (any, error) {
	if strings.ContainsAny(string(n), ".eE") {
		return n.Float64()
	}
	i, err := n.Int64()
	return integer(i), err
}

// scalar is a string, bool, float64 or integer; ok is false for all else.
func scalar(v any) (_ any, ok bool) {
	switch v := v.(type) {
	case string, bool:
		return v, true
	case json.Number:
		x, err := number(v)
		return x, err == nil
	}
	return nil, false
}
