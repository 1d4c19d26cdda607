package accesslog

import (
	"log/slog"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/weirproxy/weir/proxy/formatter"
)

const (
	// flushSize is when a worker's buffer is written without waiting for the
	// timer; Envoy's --file-flush-min-size-kb.
	flushSize = 64 << 10
	// maxBuffered bounds what a worker has waiting for one file, in bytes.
	maxBuffered = 4 << 20
	// keptBuffer is the largest buffer kept for reuse.
	keptBuffer = 4 * flushSize

	nonblock = syscall.O_NONBLOCK
)

// File is one log file: buffers that workers fill and a goroutine that writes
// them.
type File struct {
	path  string
	out   *os.File // the goroutine's
	slots []slot   // by loop number
	stats *fileStats
	log   *slog.Logger

	wake   chan struct{}
	reopen atomic.Bool
	end    chan struct{}
	done   chan struct{}

	failing bool // the last write failed: log only once
}

// slot passes a loop's buffer back and forth. The buffer is always in one
// place: here, or with the loop while it appends, or with the file's
// goroutine while it writes; taking it is a swap, so neither side waits.
type slot struct {
	filled atomic.Pointer[buffer]
	spare  atomic.Pointer[buffer]
	_      [48]byte // a cache line each
}

type buffer struct{ b []byte }

// append adds a line from the loop's own goroutine.
func (f *File) append(loop int, format *formatter.Formatter, c *formatter.Context) {
	s := &f.slots[loop]
	buf := s.filled.Swap(nil)
	if buf == nil {
		if buf = s.spare.Swap(nil); buf == nil {
			buf = new(buffer)
		}
	}
	before := len(buf.b)
	if before >= maxBuffered {
		f.stats.Dropped.Inc()
	} else {
		buf.b = format.Append(buf.b, c)
	}
	after := len(buf.b)
	s.filled.Store(buf)
	if before < flushSize && after >= flushSize {
		f.stats.Buffered.Inc()
		f.poke()
	}
}

// poke makes the goroutine flush soon.
func (f *File) poke() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// run writes until the file is closed.
func (f *File) run(interval time.Duration) {
	defer close(f.done)
	timer := time.NewTicker(interval)
	defer timer.Stop()
	for {
		select {
		case <-f.wake:
			f.flush()
		case <-timer.C:
			if f.flush() {
				f.stats.FlushedByTimer.Inc()
			}
		case <-f.end:
			f.flush()
			f.close()
			return
		}
	}
}

// flush writes what the loops have filled and tells whether there was any.
func (f *File) flush() (wrote bool) {
	if f.reopen.Swap(false) {
		f.openAnew()
	}
	for i := range f.slots {
		s := &f.slots[i]
		buf := s.filled.Swap(nil)
		if buf == nil {
			continue
		}
		if len(buf.b) > 0 {
			f.write(buf.b)
			wrote = true
		}
		if cap(buf.b) > keptBuffer {
			continue
		}
		buf.b = buf.b[:0]
		s.spare.Store(buf)
	}
	return wrote
}

func (f *File) write(b []byte) {
	if _, err := f.out.Write(b); err != nil {
		f.stats.Failed.Inc()
		if !f.failing {
			f.log.Error("access log lines are lost: the file can't be written", "path", f.path, "error", err)
		}
		f.failing = true
		return
	}
	f.failing = false
	f.stats.Completed.Inc()
}

// openAnew replaces the file by what its path now names. When that fails the
// old one stays in use.
func (f *File) openAnew() {
	out, err := openLog(f.path)
	if err != nil {
		f.stats.ReopenFailed.Inc()
		f.log.Error("the access log file can't be reopened; lines still go to the old one", "path", f.path, "error", err)
		return
	}
	f.close()
	f.out = out
}

func (f *File) close() {
	if f.out != os.Stdout && f.out != os.Stderr {
		f.out.Close()
	}
}
