package network

// Buffer is a queue of bytes: a chain of slabs. The zero value is not usable;
// see Loop.NewBuffer and Buffer.Init. An empty buffer holds no slab.
type Buffer struct {
	head, tail *slab
	size       int
	pool       *Pool
}

// Init makes b, which lies inside its owner's structure, ready.
func (b *Buffer) Init(p *Pool) { b.pool = p }

// Len is the number of bytes in b.
func (b *Buffer) Len() int { return b.size }

// Pool is where b's slabs come from.
func (b *Buffer) Pool() *Pool { return b.pool }

// Append copies p to the end of b.
func (b *Buffer) Append(p []byte) {
	for len(p) > 0 {
		room := b.Reserve(1)
		n := copy(room, p)
		b.Commit(n)
		p = p[n:]
	}
}

// AppendString copies s to the end of b.
func (b *Buffer) AppendString(s string) {
	for len(s) > 0 {
		room := b.Reserve(1)
		n := copy(room, s)
		b.Commit(n)
		s = s[n:]
	}
}

// AppendByte adds one byte.
func (b *Buffer) AppendByte(c byte) {
	b.Reserve(1)[0] = c
	b.Commit(1)
}

// AppendStatic adds p without copying it: p must never change again.
func (b *Buffer) AppendStatic(p []byte) {
	if len(p) == 0 {
		return
	}
	s := b.pool.head()
	s.mem, s.w = p, len(p)
	b.push(s)
}

// AppendSmall copies p, at most 16 bytes, to the end of b without taking a
// whole slab for it: the header of a frame whose payload is moved behind it.
func (b *Buffer) AppendSmall(p []byte) {
	if b.tail != nil && b.tail.room() >= len(p) {
		b.Commit(copy(b.tail.mem[b.tail.w:], p))
		return
	}
	b.dropEmptyTail()
	s := b.pool.head()
	s.mem = s.small[:]
	s.w = copy(s.mem, p)
	b.push(s)
}

// Reserve returns at least n bytes of room at the end of b (n ≤ SlabSize), to
// be written and then committed.
func (b *Buffer) Reserve(n int) []byte {
	if b.tail == nil || b.tail.room() < n {
		// An empty slab at the end would hide the bytes before it from
		// nobody, so it may stay linked until something is committed.
		b.push(b.pool.get())
	}
	return b.tail.mem[b.tail.w:]
}

// Commit makes n bytes of what Reserve returned part of b.
func (b *Buffer) Commit(n int) {
	b.tail.w += n
	b.size += n
}

// Trim gives back room that Reserve made and nobody wrote to, when b is empty
// otherwise.
func (b *Buffer) Trim() {
	if b.size == 0 && b.head != nil {
		b.Reset()
	}
}

func (b *Buffer) push(s *slab) {
	if b.tail == nil {
		b.head = s
	} else {
		b.tail.next = s
	}
	b.tail = s
	b.size += s.len()
}

// Reset empties b.
func (b *Buffer) Reset() {
	for s := b.head; s != nil; {
		next := s.next
		b.pool.put(s)
		s = next
	}
	b.head, b.tail, b.size = nil, nil, 0
}

// Drain drops the first n bytes (n ≤ Len).
func (b *Buffer) Drain(n int) {
	b.size -= n
	for n > 0 {
		s := b.head
		if s.pipe != nil && n < s.len() {
			b.materialise()
			continue
		}
		k := min(n, s.len())
		s.r += k
		n -= k
		if s.len() == 0 {
			if s.next == nil && b.size > 0 {
				panic("network: buffer size is off")
			}
			b.shift()
		}
	}
	if b.size == 0 {
		b.Reset()
	}
}

func (b *Buffer) shift() {
	s := b.head
	b.head = s.next
	if b.head == nil {
		b.tail = nil
	}
	b.pool.put(s)
}

// Move appends all of src to b and empties src. Slabs change hands; small
// pieces are copied when that is cheaper.
func (b *Buffer) Move(src *Buffer) {
	src.dropEmptyTail()
	if src.size == 0 {
		src.Reset()
		return
	}
	if s := src.head; s == src.tail && s.pipe == nil && b.tail != nil && s.len() <= min(b.tail.room(), SlabSize/4) {
		b.Append(s.mem[s.r:s.w])
		src.Reset()
		return
	}
	b.dropEmptyTail()
	if b.tail == nil {
		b.head = src.head
	} else {
		b.tail.next = src.head
	}
	b.tail = src.tail
	b.size += src.size
	src.head, src.tail, src.size = nil, nil, 0
}

// dropEmptyTail takes out a last slab that Reserve added and nobody wrote to.
func (b *Buffer) dropEmptyTail() {
	if b.tail == nil || b.tail.len() > 0 {
		return
	}
	if b.head == b.tail {
		b.pool.put(b.head)
		b.head, b.tail = nil, nil
		return
	}
	s := b.head
	for s.next != b.tail {
		s = s.next
	}
	b.pool.put(b.tail)
	s.next, b.tail = nil, s
}

// MoveN appends the first n bytes of src to b (n ≤ src.Len).
func (b *Buffer) MoveN(src *Buffer, n int) {
	if n >= src.size {
		b.Move(src)
		return
	}
	for n > 0 {
		s := src.head
		k := s.len()
		if k > n {
			if s.pipe != nil {
				src.materialise()
				continue
			}
			b.Append(s.mem[s.r : s.r+n])
			src.Drain(n)
			return
		}
		src.head = s.next
		src.size -= k
		n -= k
		s.next = nil
		if k == 0 {
			src.pool.put(s)
			continue
		}
		b.dropEmptyTail()
		b.push(s)
	}
}

// Write implements io.Writer.
func (b *Buffer) Write(p []byte) (int, error) {
	b.Append(p)
	return len(p), nil
}
