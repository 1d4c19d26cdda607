package network

import (
	"io"

	"golang.org/x/sys/unix"
)

// Front is the first contiguous piece of b, or nil when b is empty. It is
// valid until b changes.
func (b *Buffer) Front() []byte {
	for b.head != nil {
		if b.head.pipe != nil {
			b.materialise()
			continue
		}
		if b.head.len() > 0 || b.head == b.tail {
			return b.head.mem[b.head.r:b.head.w]
		}
		b.shift()
	}
	return nil
}

// Linearize makes the first n bytes contiguous (n ≤ Len) and returns them.
// Up to SlabSize bytes this needs no new memory in the steady state.
func (b *Buffer) Linearize(n int) []byte {
	if front := b.Front(); len(front) >= n {
		return front[:n]
	}
	b.materialise()
	s := b.pool.get()
	if n > len(s.mem) {
		b.pool.put(s)
		s = &slab{mem: make([]byte, n)} // not pooled, so it is not own
	}
	for s.w < n {
		front := b.Front()
		k := copy(s.mem[s.w:n], front)
		s.w += k
		b.Drain(k)
	}
	s.next = b.head
	b.head = s
	if b.tail == nil {
		b.tail = s
	}
	b.size += n
	return s.mem[:n]
}

// Bytes copies b's content out.
func (b *Buffer) Bytes() []byte {
	out := make([]byte, 0, b.size)
	for p := range b.Pieces {
		out = append(out, p...)
	}
	return out
}

// CopyTo fills p from the start of b, without draining, and returns how many
// bytes were there.
func (b *Buffer) CopyTo(p []byte) int {
	n := 0
	for piece := range b.Pieces {
		n += copy(p[n:], piece)
		if n == len(p) {
			break
		}
	}
	return n
}

// copyLast fills p from the end of b, which has as many bytes.
func (b *Buffer) copyLast(p []byte) {
	skip := b.size - len(p)
	for piece := range b.Pieces {
		if skip >= len(piece) {
			skip -= len(piece)
			continue
		}
		p = p[copy(p, piece[skip:]):]
		skip = 0
	}
}

// Pieces yields b's contiguous pieces in order, for range.
func (b *Buffer) Pieces(yield func([]byte) bool) {
	b.materialise()
	for s := b.head; s != nil; s = s.next {
		if s.len() > 0 && !yield(s.mem[s.r:s.w]) {
			return
		}
	}
}

// Read implements io.Reader and drains what it returns.
func (b *Buffer) Read(p []byte) (int, error) {
	if b.size == 0 {
		return 0, io.EOF
	}
	n := copy(p, b.Front())
	b.Drain(n)
	return n, nil
}

// materialise brings bytes that are still in pipes into memory, so that they
// can be looked at.
func (b *Buffer) materialise() {
	for prev, s := (*slab)(nil), b.head; s != nil; prev, s = s, s.next {
		if s.pipe == nil {
			continue
		}
		first, last := b.readPipe(s)
		last.next = s.next
		if prev == nil {
			b.head = first
		} else {
			prev.next = first
		}
		if b.tail == s {
			b.tail = last
		}
		s.r = s.w // emptied: the pipe can be used again
		b.pool.put(s)
		s = last
	}
}

func (b *Buffer) readPipe(s *slab) (first, last *slab) {
	if s.pipe.from != nil {
		s.pipe.from.copies = inVain
	}
	for left := s.len(); left > 0; {
		x := b.pool.get()
		n, err := unix.Read(s.pipe.r, x.mem[:min(left, len(x.mem))])
		if err != nil || n <= 0 {
			// The bytes were counted into the pipe, so they are there.
			panic("network: reading back a pipe failed")
		}
		x.w = n
		left -= n
		if first == nil {
			first = x
		} else {
			last.next = x
		}
		last = x
	}
	return first, last
}
