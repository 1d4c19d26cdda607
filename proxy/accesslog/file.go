package accesslog

import (
	"log/slog"
	"os"
	"sync/atomic"
	"syscall"

	"github.com/weirproxy/weir/proxy/formatter"
)

const (
	// flushSize is when a loop hands its buffer over without waiting for the
	// timer; Envoy's --file-flush-min-size-kb.
	flushSize = 64 << 10
	// maxQueued bounds the buffers that wait to be written to one file, so
	// that a stuck disk costs 4 MiB and then lines.
	maxQueued = 64

	nonblock = syscall.O_NONBLOCK
)

// File is one log file.
type File struct {
	path  string
	out   *os.File // the goroutine's
	loops []filling
	stats *fileStats
	log   *slog.Logger

	queue  chan []byte   // full buffers, to be written
	spare  chan []byte   // written ones, to be used again
	wake   chan struct{} // the file is to be reopened
	reopen atomic.Bool
	done   chan struct{}

	failing bool // the last write failed: say so only once
}

// filling is the buffer that a loop appends to. Only that loop touches it,
// and Writers.Close when the loop has stopped.
type filling struct {
	b []byte
	_ [40]byte // a cache line each
}

// append adds a line from the loop's own goroutine.
func (f *File) append(loop int, format *formatter.Formatter, c *formatter.Context) {
	s := &f.loops[loop]
	if len(s.b) >= flushSize && !f.handOver(loop) {
		f.stats.Dropped.Inc()
		return
	}
	if s.b == nil {
		select {
		case s.b = <-f.spare:
		default:
		}
	}
	if s.b = format.Append(s.b, c); len(s.b) >= flushSize {
		f.stats.Buffered.Inc()
		f.handOver(loop)
	}
}

// handOver queues the loop's buffer for writing, from the loop's own
// goroutine. It fails when too much is queued.
func (f *File) handOver(loop int) bool {
	s := &f.loops[loop]
	if len(s.b) == 0 {
		return true
	}
	select {
	case f.queue <- s.b:
		f.stats.Waiting.Add(int64(len(s.b)))
		s.b = nil
		return true
	default:
		return false
	}
}

// run writes until the queue is closed.
func (f *File) run() {
	defer close(f.done)
	defer f.close()
	for {
		select {
		case b, open := <-f.queue:
			if !open {
				return
			}
			f.write(b)
			f.stats.Waiting.Add(-int64(len(b)))
			select {
			case f.spare <- b[:0]:
			default:
			}
		case <-f.wake:
			f.openIfAsked()
		}
	}
}

func (f *File) write(b []byte) {
	f.openIfAsked()
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

// askReopen makes the goroutine open the path anew before it writes again.
func (f *File) askReopen() {
	f.reopen.Store(true)
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// openIfAsked replaces the file by what its path now names. When that fails
// the old one stays in use.
func (f *File) openIfAsked() {
	if !f.reopen.Swap(false) {
		return
	}
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
