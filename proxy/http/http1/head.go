package http1

import (
	"bytes"

	"github.com/weirproxy/weir/proxy/network"
)

// findHead returns the length of the head (or trailer section) at the start
// of b, its empty line included, or 0 when that has not come yet. from is how
// many bytes earlier calls have looked at, so that a head that comes byte by
// byte costs no more than one that comes whole.
func findHead(b *network.Buffer, from int) int {
	from = max(from-2, 0) // the empty line may have begun there
	if front := b.Front(); from < len(front) {
		if n := headEnd(front, from); n > 0 || len(front) == b.Len() {
			return n
		}
	}
	return findHeadAcross(b, from)
}

// headEnd is findHead in one piece. A line ends in CRLF or LF (RFC 9112
// section 2.2).
func headEnd(p []byte, from int) int {
	for i := from; ; {
		j := bytes.IndexByte(p[i:], '\n')
		if j < 0 {
			return 0
		}
		i += j + 1
		if i < len(p) && p[i] == '\n' {
			return i + 1
		}
		if i+1 < len(p) && p[i] == '\r' && p[i+1] == '\n' {
			return i + 2
		}
	}
}

// findHeadAcross is findHead over several pieces.
func findHeadAcross(b *network.Buffer, from int) int {
	const (
		inLine = iota
		afterLF
		afterCR
	)
	state, base := inLine, 0
	for p := range b.Pieces {
		for i := max(from-base, 0); i < len(p); i++ {
			switch c := p[i]; {
			case c == '\n' && state != inLine:
				return base + i + 1
			case c == '\n':
				state = afterLF
			case c == '\r' && state == afterLF:
				state = afterCR
			default:
				state = inLine
				if j := bytes.IndexByte(p[i:], '\n'); j < 0 {
					i = len(p)
				} else {
					i += j - 1
				}
			}
		}
		base += len(p)
	}
	return 0
}

// startsWithRequest tells whether the incomplete head p can still become one
// of a request. It looks at the method only.
func startsWithMethod(p []byte) bool {
	for i, c := range p[:min(len(p), maxMethod+1)] {
		if c == ' ' {
			return i > 0
		}
		if tokenLower[c] == 0 {
			return false
		}
	}
	return len(p) <= maxMethod
}

// maxMethod is the longest method taken.
const maxMethod = 32
