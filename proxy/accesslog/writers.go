package accesslog

import (
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/weirproxy/weir/proxy/stats"
)

// DefaultFlushInterval is Envoy's --file-flush-interval-msec.
const DefaultFlushInterval = 10 * time.Second

// WritersOptions are what Writers need of the server.
type WritersOptions struct {
	FlushInterval time.Duration // 0: DefaultFlushInterval
	Log           *slog.Logger
	Stats         *stats.Store // for filesystem.*; nil: none
}

// Writers are the log files of a server, by path.
type Writers struct {
	loops int
	o     WritersOptions
	stats fileStats

	mu    sync.Mutex // configuration only
	files map[string]*File
}

// fileStats are shared by all files; the names but dropped are Envoy's.
type fileStats struct {
	Buffered       *stats.SharedCounter // buffers that reached flushSize
	Completed      *stats.SharedCounter
	Failed         *stats.SharedCounter
	FlushedByTimer *stats.SharedCounter
	ReopenFailed   *stats.SharedCounter
	Dropped        *stats.SharedCounter // lines
}

// NewWriters makes Writers for this many loops: main, which is number 0, and
// the workers.
func NewWriters(loops int, o WritersOptions) *Writers {
	if o.FlushInterval <= 0 {
		o.FlushInterval = DefaultFlushInterval
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Stats == nil {
		o.Stats = stats.NewStore()
	}
	return &Writers{loops: loops, o: o, files: map[string]*File{}, stats: fileStats{
		Buffered:       o.Stats.Counter("filesystem.write_buffered"),
		Completed:      o.Stats.Counter("filesystem.write_completed"),
		Failed:         o.Stats.Counter("filesystem.write_failed"),
		FlushedByTimer: o.Stats.Counter("filesystem.flushed_by_timer"),
		ReopenFailed:   o.Stats.Counter("filesystem.reopen_failed"),
		Dropped:        o.Stats.Counter("filesystem.lines_dropped"),
	}}
}

// Open is the file at path, opened for appending and made if it does not
// exist; every caller gets the same one. /dev/stdout and /dev/stderr are the
// process's own, whatever they are.
func (w *Writers) Open(path string) (*File, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if f := w.files[path]; f != nil {
		return f, nil
	}
	f := &File{
		path: path, slots: make([]slot, w.loops), stats: &w.stats, log: w.o.Log,
		wake: make(chan struct{}, 1), end: make(chan struct{}), done: make(chan struct{}),
	}
	var err error
	if f.out, err = openLog(path); err != nil {
		return nil, fmt.Errorf("the log file can't be opened: %w", err)
	}
	w.files[path] = f
	go f.run(w.o.FlushInterval)
	return f, nil
}

// openLog opens a log file. O_NONBLOCK keeps a FIFO that nobody reads from
// holding up the start: opening it fails instead.
func openLog(path string) (*os.File, error) {
	switch path {
	case "/dev/stdout":
		return os.Stdout, nil
	case "/dev/stderr":
		return os.Stderr, nil
	}
	return os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY|nonblock, 0o644)
}

// Reopen makes every file be opened anew by its path before it is next
// written, for log rotation; it may be called from any goroutine.
func (w *Writers) Reopen() {
	for _, f := range w.list() {
		f.reopen.Store(true)
		f.poke()
	}
}

// Flush writes what the workers have logged so far.
func (w *Writers) Flush() {
	for _, f := range w.list() {
		f.poke()
	}
}

// Close writes what is left and closes the files.
func (w *Writers) Close() {
	for _, f := range w.list() {
		close(f.end)
		<-f.done
	}
}

func (w *Writers) list() []*File {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Collect(maps.Values(w.files))
}
