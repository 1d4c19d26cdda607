package decode

import (
	"errors"
	"fmt"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// scanner reads JSON (RFC 8259) from memory. Every method leaves pos behind
// what it has read, and behind white space.
type scanner struct {
	in  []byte
	pos int
	buf []byte // the last string that had escapes
}

// syntaxError is one of JSON's grammar, which has a line but no field.
type syntaxError struct{ err error }

func (e syntaxError) Error() string { return e.err.Error() }

func (s *scanner) syntax(want string) error {
	if s.pos >= len(s.in) {
		return syntaxError{fmt.Errorf("JSON: want %s, the document ends", want)}
	}
	r, _ := utf8.DecodeRune(s.in[s.pos:])
	return syntaxError{fmt.Errorf("JSON: want %s, found %q", want, r)}
}

func (s *scanner) space() {
	for s.pos < len(s.in) {
		switch s.in[s.pos] {
		case ' ', '\n', '\t', '\r':
			s.pos++
		default:
			return
		}
	}
}

// peek is the next byte, 0 at the end.
func (s *scanner) peek() byte {
	if s.pos < len(s.in) {
		return s.in[s.pos]
	}
	return 0
}

// take reads c if it is next.
func (s *scanner) take(c byte) bool {
	if s.peek() != c || s.pos >= len(s.in) {
		return false
	}
	s.pos++
	s.space()
	return true
}

// word reads the literal w (true, false, null).
func (s *scanner) word(w string) error {
	if len(s.in)-s.pos < len(w) || string(s.in[s.pos:s.pos+len(w)]) != w {
		return s.syntax("a value")
	}
	s.pos += len(w)
	s.space()
	return nil
}

// number reads a number and gives its text.
func (s *scanner) number() ([]byte, error) {
	start := s.pos
	s.take1('-')
	switch c := s.peek(); {
	case c == '0':
		s.pos++
	case c >= '1' && c <= '9':
		s.digits()
	default:
		return nil, s.syntax("a digit")
	}
	if s.take1('.') && !s.digits() {
		return nil, s.syntax("a digit")
	}
	if s.take1('e') || s.take1('E') {
		if !s.take1('+') {
			s.take1('-')
		}
		if !s.digits() {
			return nil, s.syntax("a digit")
		}
	}
	text := s.in[start:s.pos]
	s.space()
	return text, nil
}

func (s *scanner) take1(c byte) bool {
	if s.peek() == c {
		s.pos++
		return true
	}
	return false
}

func (s *scanner) digits() bool {
	start := s.pos
	for c := s.peek(); c >= '0' && c <= '9'; c = s.peek() {
		s.pos++
	}
	return s.pos > start
}

// str reads a string. The bytes are good until the next call.
func (s *scanner) str() ([]byte, error) {
	if s.peek() != '"' {
		return nil, s.syntax("a string")
	}
	start := s.pos + 1
	ascii := true
	for i := start; i < len(s.in); i++ {
		switch c := s.in[i]; {
		case c == '"':
			text := s.in[start:i]
			if !ascii && !utf8.Valid(text) {
				return nil, errors.New("the string is not valid UTF-8")
			}
			s.pos = i + 1
			s.space()
			return text, nil
		case c == '\\':
			return s.escaped(start, i)
		case c < ' ':
			s.pos = i
			return nil, s.syntax("an escape for the control character")
		case c >= utf8.RuneSelf:
			ascii = false
		}
	}
	s.pos = len(s.in)
	return nil, s.syntax(`the closing '"' of a string`)
}

// escaped reads the rest of a string whose first backslash is at i.
func (s *scanner) escaped(start, i int) ([]byte, error) {
	s.buf = append(s.buf[:0], s.in[start:i]...)
	for s.pos = i; s.pos < len(s.in); {
		switch c := s.in[s.pos]; {
		case c == '"':
			if !utf8.Valid(s.buf) {
				return nil, errors.New("the string is not valid UTF-8")
			}
			s.pos++
			s.space()
			return s.buf, nil
		case c == '\\':
			if err := s.escape(); err != nil {
				return nil, err
			}
		case c < ' ':
			return nil, s.syntax("an escape for the control character")
		default:
			s.buf = append(s.buf, c)
			s.pos++
		}
	}
	return nil, s.syntax(`the closing '"' of a string`)
}

func (s *scanner) escape() error {
	s.pos++
	switch c := s.peek(); c {
	case '"', '\\', '/':
		s.buf = append(s.buf, c)
	case 'b':
		s.buf = append(s.buf, '\b')
	case 'f':
		s.buf = append(s.buf, '\f')
	case 'n':
		s.buf = append(s.buf, '\n')
	case 'r':
		s.buf = append(s.buf, '\r')
	case 't':
		s.buf = append(s.buf, '\t')
	case 'u':
		return s.unicode()
	default:
		return s.syntax("an escape")
	}
	s.pos++
	return nil
}

// unicode reads uXXXX, and the second half of a surrogate pair with it.
func (s *scanner) unicode() error {
	r, err := s.hex4()
	if err != nil {
		return err
	}
	if utf16.IsSurrogate(r) {
		if !s.take1('\\') || s.peek() != 'u' {
			return s.syntax("the second half of a surrogate pair")
		}
		second, err := s.hex4()
		if err != nil {
			return err
		}
		if r = utf16.DecodeRune(r, second); r == utf8.RuneError {
			return errors.New("the string has half a surrogate pair")
		}
	}
	s.buf = utf8.AppendRune(s.buf, r)
	return nil
}

func (s *scanner) hex4() (r rune, err error) {
	s.pos++ // the u
	for range 4 {
		c := s.peek()
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, s.syntax("a hexadecimal digit")
		}
		r = r<<4 | rune(c)
		s.pos++
	}
	return r, nil
}

// skip reads over a value of any kind.
func (s *scanner) skip(depth int) error {
	if depth > maxDepth {
		return errTooDeep
	}
	switch s.peek() {
	case '{':
		for more, err := s.enter('{', '}'); ; more, err = s.next('}') {
			if !more {
				return err
			}
			if _, err := s.key(); err != nil {
				return err
			}
			if err := s.skip(depth + 1); err != nil {
				return err
			}
		}
	case '[':
		for more, err := s.enter('[', ']'); ; more, err = s.next(']') {
			if !more {
				return err
			}
			if err := s.skip(depth + 1); err != nil {
				return err
			}
		}
	case '"':
		_, err := s.str()
		return err
	case 't':
		return s.word("true")
	case 'f':
		return s.word("false")
	case 'n':
		return s.word("null")
	default:
		_, err := s.number()
		return err
	}
}

// key reads an object's key and the colon.
func (s *scanner) key() ([]byte, error) {
	k, err := s.str()
	if err != nil {
		return nil, err
	}
	if !s.take(':') {
		return nil, s.syntax("':'")
	}
	return k, nil
}

// enter reads the opening bracket of an object or array; more says whether an
// entry follows. It is never true together with an error.
func (s *scanner) enter(open, end byte) (more bool, err error) {
	if !s.take(open) {
		return false, s.syntax(strconv.QuoteRune(rune(open)))
	}
	return !s.take(end), nil
}

// next reads what follows an entry: a comma, or the closing bracket.
func (s *scanner) next(end byte) (more bool, err error) {
	if s.take(',') {
		return true, nil
	}
	if s.take(end) {
		return false, nil
	}
	return false, s.syntax("',' or " + strconv.QuoteRune(rune(end)))
}

var errTooDeep = fmt.Errorf("nested more than %d deep", maxDepth)
