package formatter

import (
	"encoding/json"
	"fmt"
)

// maxCoalesce bounds the operators of one COALESCE and, as they may nest, the
// size of the whole.
const maxCoalesce = 64

// compileCoalesce is COALESCE({"operators": [...]}): the first operator that
// has a value which isn't "". An operator is a name, or an object with
// command, param and max_length.
func compileCoalesce(param string, extra Commands) (operator, error) {
	var config struct {
		Operators []json.RawMessage `json:"operators"`
	}
	if err := json.Unmarshal([]byte(param), &config); err != nil {
		return nil, fmt.Errorf("its parameter is not a JSON object: %w", err)
	}
	if n := len(config.Operators); n == 0 || n > maxCoalesce {
		return nil, fmt.Errorf("it takes 1 to %d operators, not %d", maxCoalesce, n)
	}
	var ops []element
	for i, raw := range config.Operators {
		op, err := compileAlternative(raw, extra)
		if err != nil {
			return nil, fmt.Errorf("operators[%d]: %w", i, err)
		}
		ops = append(ops, op)
	}
	return func(dst []byte, c *Context) ([]byte, kind) {
		for i := range ops {
			out, k := ops[i].op(dst, c)
			if k == none || len(out) == len(dst) {
				continue
			}
			return ops[i].cut(out, len(dst), k), k
		}
		return dst, none
	}, nil
}

func compileAlternative(raw json.RawMessage, extra Commands) (e element, err error) {
	entry := struct {
		Command string `json:"command"`
		Param   string `json:"param"`
		Max     *int32 `json:"max_length"`
	}{}
	if err := json.Unmarshal(raw, &entry.Command); err != nil {
		if err := json.Unmarshal(raw, &entry); err != nil {
			return e, fmt.Errorf("it is neither a name nor an object with command, param and max_length: %w", err)
		}
	}
	c := call{name: entry.Command, param: entry.Param, max: -1}
	if entry.Max != nil {
		if *entry.Max <= 0 {
			return e, fmt.Errorf("max_length is %d; it must be more than 0", *entry.Max)
		}
		c.max = int(*entry.Max)
	}
	if e.op, err = c.compile(extra); err != nil {
		return e, fmt.Errorf("operator %s: %w", c.name, err)
	}
	e.max = c.max
	return e, nil
}
