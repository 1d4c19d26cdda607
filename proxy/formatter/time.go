package formatter

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

func startTime(c *Context) time.Time { return c.Info.Start }
func emitTime(c *Context) time.Time  { return c.Time }

// timeOperator is START_TIME(format) and its like; the zero time has no value.
func timeOperator(of func(*Context) time.Time, local bool) func(string) (operator, error) {
	return func(format string) (operator, error) {
		layout, err := compileTime(format, local)
		if err != nil {
			return nil, err
		}
		return func(dst []byte, c *Context) ([]byte, kind) {
			t := of(c)
			if t.IsZero() {
				return dst, none
			}
			if local {
				t = t.Local()
			} else {
				t = t.UTC()
			}
			return layout.append(dst, t), text
		}, nil
	}
}

// timeLayout is a compiled strftime format.
type timeLayout []timePiece

type timePiece struct {
	text   string
	verb   byte // 0: text
	digits int  // of a fraction; -1: as many as needed
}

const (
	defaultTime      = "%Y-%m-%dT%H:%M:%S.%3fZ"
	defaultLocalTime = "%Y-%m-%dT%H:%M:%S.%3f%z"
)

// compileTime compiles Envoy's time formats: strftime, %s for the seconds
// since the epoch, %f and %1f to %9f for the fraction, and Abseil's %E
// extensions.
func compileTime(format string, local bool) (timeLayout, error) {
	if format == "" {
		format = defaultTime
		if local {
			format = defaultLocalTime
		}
	}
	var out timeLayout
	for format != "" {
		i := strings.IndexByte(format, '%')
		if i < 0 || i+1 == len(format) {
			return append(out, timePiece{text: format}), nil
		}
		if i > 0 {
			out = append(out, timePiece{text: format[:i]})
		}
		piece, n, err := parseTimePiece(format[i:])
		if err != nil {
			return nil, err
		}
		out = append(out, piece)
		format = format[i+n:]
	}
	return out, nil
}

const timeVerbs = "YCGgymdejHIMSpPaAbBhuwUVWDFTRrcxXkltnzZsf%"

func parseTimePiece(s string) (timePiece, int, error) {
	p, i := timePiece{verb: s[1], digits: 9}, 1
	switch {
	case s[1] >= '1' && s[1] <= '9' && len(s) > 2 && s[2] == 'f':
		return timePiece{verb: 'f', digits: int(s[1] - '0')}, 3, nil
	case (s[1] == 'E' || s[1] == 'O') && len(s) > 2:
		var ok bool
		if p, i, ok = parseExtension(s); ok {
			return p, i, nil
		}
		p.verb = s[2] // other alternative forms are the plain ones in the C locale
		i = 2
	}
	if p.verb == 'n' {
		return p, 0, fmt.Errorf("the time format may not hold a newline (%%n)")
	}
	if strings.IndexByte(timeVerbs, p.verb) < 0 {
		return timePiece{text: s[:i+1]}, i + 1, nil // printed as it is
	}
	return p, i + 1, nil
}

// parseExtension parses %Ez, %E*z, %E#S, %E*S, %E#f, %E*f, %E4Y and %ET.
func parseExtension(s string) (timePiece, int, bool) {
	switch {
	case strings.HasPrefix(s, "%E*z"):
		return timePiece{verb: '+'}, 4, true
	case strings.HasPrefix(s, "%Ez"):
		return timePiece{verb: ':'}, 3, true
	case strings.HasPrefix(s, "%E4Y"):
		return timePiece{verb: 'Y'}, 4, true
	case strings.HasPrefix(s, "%ET"):
		return timePiece{text: "T"}, 3, true
	}
	if len(s) < 4 || s[1] != 'E' {
		return timePiece{}, 0, false
	}
	verb := map[byte]byte{'S': '.', 'f': 'f'}[s[3]]
	switch {
	case verb == 0:
	case s[2] == '*':
		return timePiece{verb: verb, digits: -1}, 4, true
	case s[2] >= '0' && s[2] <= '9':
		return timePiece{verb: verb, digits: int(s[2] - '0')}, 4, true
	}
	return timePiece{}, 0, false
}

func (l timeLayout) append(dst []byte, t time.Time) []byte {
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	for i := range l {
		p := &l[i]
		switch p.verb {
		case 0:
			dst = append(dst, p.text...)
		case 'Y':
			dst = strconv.AppendInt(dst, int64(year), 10)
		case 'm':
			dst = append2(dst, int(month))
		case 'd':
			dst = append2(dst, day)
		case 'H':
			dst = append2(dst, hour)
		case 'M':
			dst = append2(dst, minute)
		case 'S':
			dst = append2(dst, second)
		case 'f':
			dst = appendFraction(dst, t.Nanosecond(), p.digits, false)
		case '.':
			dst = appendFraction(append2(dst, second), t.Nanosecond(), p.digits, true)
		case 's':
			dst = strconv.AppendInt(dst, t.Unix(), 10)
		case 'F':
			dst = strconv.AppendInt(dst, int64(year), 10)
			dst = append2(append(append2(append(dst, '-'), int(month)), '-'), day)
		case 'T', 'X':
			dst = append2(append(append2(append(append2(dst, hour), ':'), minute), ':'), second)
		case 'R':
			dst = append2(append(append2(dst, hour), ':'), minute)
		default:
			dst = appendRare(dst, t, p.verb)
		}
	}
	return dst
}

// appendRare appends the verbs that logs seldom have.
func appendRare(dst []byte, t time.Time, verb byte) []byte {
	switch verb {
	case 'C':
		return append2(dst, t.Year()/100)
	case 'y':
		return append2(dst, t.Year()%100)
	case 'G', 'g', 'V':
		year, week := t.ISOWeek()
		switch verb {
		case 'G':
			return strconv.AppendInt(dst, int64(year), 10)
		case 'g':
			return append2(dst, year%100)
		}
		return append2(dst, week)
	case 'e':
		return appendPadded(dst, t.Day())
	case 'k':
		return appendPadded(dst, t.Hour())
	case 'l':
		return appendPadded(dst, hour12(t))
	case 'I':
		return append2(dst, hour12(t))
	case 'j':
		return append2(append(dst, '0'+byte(t.YearDay()/100)), t.YearDay()%100)
	case 'p':
		return t.AppendFormat(dst, "PM")
	case 'P':
		return t.AppendFormat(dst, "pm")
	case 'a':
		return t.AppendFormat(dst, "Mon")
	case 'A':
		return t.AppendFormat(dst, "Monday")
	case 'b', 'h':
		return t.AppendFormat(dst, "Jan")
	case 'B':
		return t.AppendFormat(dst, "January")
	case 'u':
		return append(dst, '1'+byte((t.Weekday()+6)%7))
	case 'w':
		return append(dst, '0'+byte(t.Weekday()))
	case 'U':
		return append2(dst, (t.YearDay()+6-int(t.Weekday()))/7)
	case 'W':
		return append2(dst, (t.YearDay()+6-int(t.Weekday()+6)%7)/7)
	case 'D', 'x':
		return t.AppendFormat(dst, "01/02/06")
	case 'r':
		return t.AppendFormat(dst, "03:04:05 PM")
	case 'c':
		return t.AppendFormat(dst, "Mon Jan _2 15:04:05 2006")
	case 't':
		return append(dst, '\t')
	case 'z':
		return t.AppendFormat(dst, "-0700")
	case ':':
		return t.AppendFormat(dst, "-07:00")
	case '+':
		return t.AppendFormat(dst, "-07:00:00")
	case 'Z':
		return t.AppendFormat(dst, "MST")
	}
	return append(dst, verb) // %
}

func hour12(t time.Time) int { return (t.Hour()+11)%12 + 1 }

func append2(dst []byte, n int) []byte { return append(dst, '0'+byte(n/10%10), '0'+byte(n%10)) }

func appendPadded(dst []byte, n int) []byte {
	if n < 10 {
		return append(dst, ' ', '0'+byte(n))
	}
	return append2(dst, n)
}

// appendFraction appends digits of the second's fraction; -1: without
// trailing zeros. point puts a point before, if anything follows.
func appendFraction(dst []byte, nanos, digits int, point bool) []byte {
	var buf [9]byte
	for i := 8; i >= 0; i-- {
		buf[i] = '0' + byte(nanos%10)
		nanos /= 10
	}
	frac := buf[:]
	if digits >= 0 {
		frac = frac[:min(digits, 9)]
	} else {
		for len(frac) > 0 && frac[len(frac)-1] == '0' {
			frac = frac[:len(frac)-1]
		}
		if len(frac) == 0 && !point {
			frac = buf[:1]
		}
	}
	if point && len(frac) > 0 {
		dst = append(dst, '.')
	}
	return append(dst, frac...)
}
