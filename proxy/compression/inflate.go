package compression

import (
	"errors"
	"io"
	"sync"
)

// Inflater decompresses one message on a goroutine: Go's decompressors pull
// their input, and a small input may be much work.
type Inflater struct {
	d    *Decoder
	out  func(data []byte, done bool, err error)
	mu   sync.Mutex
	more sync.Cond
	in   [][]byte
	fed  int // bytes, all together
	end  bool
	off  bool
	took chan struct{} // the last output was consumed
}

const (
	// piece is how many bytes are handed over at a time.
	piece = 32 << 10
	// freeOutput is how many bytes may come out whatever went in.
	freeOutput = 1 << 20
)

var (
	errStopped  = errors.New("stopped")
	errTooLarge = errors.New("the content is compressed too well to be true")
)

// Inflate begins a message. out is called on a goroutine of the inflater's own
// with each piece that comes out, and at the end with done; the next piece
// waits until Took is called.
func (d *Decoder) Inflate(out func(data []byte, done bool, err error)) *Inflater {
	x := &Inflater{d: d, out: out, took: make(chan struct{}, 1)}
	x.more.L = &x.mu
	go x.run()
	return x
}

// Feed gives the inflater the next bytes, which it keeps; end tells that they
// are the last.
func (x *Inflater) Feed(data []byte, end bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if len(data) > 0 {
		x.in = append(x.in, data)
		x.fed += len(data)
	}
	x.end = x.end || end
	x.more.Signal()
}

// Took tells that a piece was consumed.
func (x *Inflater) Took() {
	select {
	case x.took <- struct{}{}:
	default:
	}
}

// Stop ends the inflater: out is not called any more once it returns to its
// goroutine.
func (x *Inflater) Stop() {
	x.mu.Lock()
	x.off = true
	x.in = nil
	x.more.Signal()
	x.mu.Unlock()
	x.Took()
}

// Read implements io.Reader for the decompressor: it waits for input.
func (x *Inflater) Read(p []byte) (int, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for len(x.in) == 0 && !x.end && !x.off {
		x.more.Wait()
	}
	switch {
	case x.off:
		return 0, errStopped
	case len(x.in) == 0:
		return 0, io.EOF
	}
	n := copy(p, x.in[0])
	if x.in[0] = x.in[0][n:]; len(x.in[0]) == 0 {
		x.in = x.in[1:]
	}
	return n, nil
}

func (x *Inflater) state() (fed int, off bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.fed, x.off
}

func (x *Inflater) run() {
	err := x.inflate()
	if _, off := x.state(); !off {
		x.out(nil, true, err)
	}
}

func (x *Inflater) inflate() error {
	r, err := x.d.Open(x)
	if err != nil {
		return err
	}
	defer r.Close()
	total := 0
	for {
		b := make([]byte, piece)
		n, err := r.Read(b)
		total += n
		fed, off := x.state()
		switch {
		case off:
			return errStopped
		case total > freeOutput && total/x.d.MaxRatio > fed:
			return errTooLarge
		}
		if n > 0 {
			x.out(b[:n], false, nil)
			<-x.took
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
