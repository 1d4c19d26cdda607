package compression

import (
	"io"

	"github.com/weirproxy/weir/proxy/network"
)

// Library is a compressor library compiled, immutable.
type Library struct {
	Name       string
	Encoding   string // the content-coding: "gzip", "br", "zstd"
	StatPrefix string // "gzip."
	make       func() encoder
}

// encoder is what the three libraries have in common.
type encoder interface {
	io.Writer
	Flush() error
	Close() error
	Reset(io.Writer)
}

// Pool keeps a worker's encoders of one library.
type Pool struct{ free []encoder }

// maxFree bounds the encoders kept for reuse.
const maxFree = 16

// Encoder lends an encoder from p; Release gives it back.
func (l *Library) Encoder(p *Pool) *Encoder {
	e := &Encoder{pool: p}
	if n := len(p.free); n > 0 {
		e.enc, p.free = p.free[n-1], p.free[:n-1]
	} else {
		e.enc = l.make()
	}
	e.enc.Reset(&e.out)
	return e
}

// Encoder compresses one message.
type Encoder struct {
	enc  encoder
	pool *Pool
	out  target
}

// Compress replaces b's content by its compressed form, complete up to here;
// end ends the message.
func (e *Encoder) Compress(b *network.Buffer, end bool) {
	in := network.Buffer{}
	in.Init(b.Pool())
	in.Move(b)
	e.out.b = b
	for piece := range in.Pieces {
		e.enc.Write(piece) // writing to a buffer does not fail
	}
	if end {
		e.enc.Close()
	} else {
		e.enc.Flush()
	}
	in.Reset()
	e.out.b = nil
}

// Release gives the encoder back. It may be called twice.
func (e *Encoder) Release() {
	if e.enc == nil {
		return
	}
	e.enc.Reset(io.Discard)
	if len(e.pool.free) < maxFree {
		e.pool.free = append(e.pool.free, e.enc)
	}
	e.enc = nil
}

// target is where an encoder writes to.
type target struct{ b *network.Buffer }

func (t *target) Write(p []byte) (int, error) {
	if t.b != nil {
		t.b.Append(p)
	}
	return len(p), nil
}
