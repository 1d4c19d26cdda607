package runtime

import (
	"math"
	"strconv"
	"strings"
)

// entry is a value and what it can be read as.
type entry struct {
	raw      string // as /runtime prints it
	integer  uint64
	number   float64
	flag     bool
	fraction Percent
	is       kinds
}

type kinds uint8

const (
	isInteger kinds = 1 << iota
	isNumber
	isFlag
	isFraction
)

// parse reads a value written as text: a file's, or one from the admin page.
func parse(text string) entry {
	e := entry{raw: text}
	s := strings.TrimSpace(text)
	switch strings.ToLower(s) {
	case "true":
		e.flag, e.is = true, isFlag
		return e
	case "false":
		e.is = isFlag
		return e
	}
	if n, err := strconv.ParseFloat(s, 64); err == nil && !math.IsNaN(n) {
		e.setNumber(n)
		if i, err := strconv.ParseUint(s, 10, 64); err == nil {
			e.integer = i // more digits than a float has
		}
	}
	if p, ok := parsePercent(s); ok {
		e.fraction, e.is = p, e.is|isFraction
	}
	return e
}

func (e *entry) setNumber(n float64) {
	e.number, e.is = n, e.is|isNumber
	if n >= 0 && n < math.MaxUint64 && n == math.Trunc(n) {
		e.integer, e.is = uint64(n), e.is|isInteger
	}
}
