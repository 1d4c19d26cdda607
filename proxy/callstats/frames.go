package callstats

import "github.com/weirproxy/weir/proxy/network"

// Frames counts the messages of a gRPC body: each has a byte of flags, its
// length in four bytes, and so many bytes of content (gRPC over HTTP/2,
// "Length-Prefixed-Message"). A body that is something else is one message
// without an end, and counts as none.
type Frames struct {
	broken bool
	header uint8  // bytes of the header that have been seen
	length uint32 // of the message, as far as it is known
	left   uint32 // bytes of content still to come
}

// Add looks at further bytes and returns how many messages begin in them. It
// leaves b as it is.
func (f *Frames) Add(b *network.Buffer) (n uint64) {
	for p := range b.Pieces {
		for len(p) > 0 {
			begins := f.header == 0 && f.left == 0
			size, _ := f.Next(p)
			if begins && !f.broken {
				n++
			}
			p = p[size:]
		}
	}
	return n
}

// compressed is the one flag that a message can have.
const compressed = 1

// Next looks at further bytes and returns how many of them belong to the
// message under way, and whether it ends there.
func (f *Frames) Next(p []byte) (n int, ends bool) {
	if f.broken || f.header == 0 && f.left == 0 && p[0]&^compressed != 0 {
		f.broken = true
		return len(p), false
	}
	for ; n < len(p) && f.left == 0; n++ {
		if f.header > 0 {
			f.length = f.length<<8 | uint32(p[n])
		}
		if f.header++; f.header == 5 {
			f.left, f.header, f.length = f.length, 0, 0
			if f.left == 0 {
				return n + 1, true
			}
		}
	}
	content := min(uint64(f.left), uint64(len(p)-n))
	f.left -= uint32(content)
	n += int(content)
	return n, content > 0 && f.left == 0
}
