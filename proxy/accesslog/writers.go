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

// Loop is a goroutine that logs; event.Dispatcher is one.
type Loop interface{ Post(f func()) }

// WritersOptions are what Writers need of the server.
type WritersOptions struct {
	FlushInterval time.Duration // 0: DefaultFlushInterval
	Log           *slog.Logger
	Stats         *stats.Store // for filesystem.*; nil: none
}

// Writers are the log files of a server, by path.
type Writers struct {
	post  []func(func()) // onto each loop
	o     WritersOptions
	stats fileStats
	end   chan struct{}
	timer sync.WaitGroup

	mu    sync.Mutex // configuration and the timer, never the request path
	files map[string]*File
}

// fileStats are shared by all files; the names but lines_dropped are Envoy's.
type fileStats struct {
	Buffered       *stats.SharedCounter // buffers that were filled
	Completed      *stats.SharedCounter
	Failed         *stats.SharedCounter
	FlushedByTimer *stats.SharedCounter
	ReopenFailed   *stats.SharedCounter
	Waiting        *stats.SharedGauge   // bytes that are not written yet
	Dropped        *stats.SharedCounter // lines
}

// NewWriters makes Writers for these loops; Log is then called with a loop's
// index in them, from that loop.
func NewWriters[L Loop](loops []L, o WritersOptions) *Writers {
	if o.FlushInterval <= 0 {
		o.FlushInterval = DefaultFlushInterval
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Stats == nil {
		o.Stats = stats.NewStore()
	}
	w := &Writers{o: o, files: map[string]*File{}, end: make(chan struct{}), stats: fileStats{
		Buffered:       o.Stats.Counter("filesystem.write_buffered"),
		Completed:      o.Stats.Counter("filesystem.write_completed"),
		Failed:         o.Stats.Counter("filesystem.write_failed"),
		FlushedByTimer: o.Stats.Counter("filesystem.flushed_by_timer"),
		ReopenFailed:   o.Stats.Counter("filesystem.reopen_failed"),
		Waiting:        o.Stats.Gauge("filesystem.write_total_buffered"),
		Dropped:        o.Stats.Counter("filesystem.lines_dropped"),
	}}
	for _, l := range loops {
		w.post = append(w.post, l.Post)
	}
	w.timer.Go(w.flushByTimer)
	return w
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
	out, err := openLog(path)
	if err != nil {
		return nil, fmt.Errorf("the log file can't be opened: %w", err)
	}
	f := &File{
		path: path, out: out, loops: make([]filling, len(w.post)), stats: &w.stats, log: w.o.Log,
		queue: make(chan []byte, maxQueued), spare: make(chan []byte, 2*len(w.post)),
		wake: make(chan struct{}, 1), done: make(chan struct{}),
	}
	w.files[path] = f
	go f.run()
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
		f.askReopen()
	}
}

func (w *Writers) flushByTimer() {
	tick := time.NewTicker(w.o.FlushInterval)
	defer tick.Stop()
	for {
		select {
		case <-w.end:
			return
		case <-tick.C:
			w.Flush()
		}
	}
}

// Flush makes every loop hand over what it has logged, soon; it may be called
// from any goroutine.
func (w *Writers) Flush() {
	files := w.list()
	if len(files) == 0 {
		return
	}
	for loop, post := range w.post {
		post(func() {
			for _, f := range files {
				if len(f.loops[loop].b) > 0 && f.handOver(loop) {
					f.stats.FlushedByTimer.Inc()
				}
			}
		})
	}
}

// Close writes what is left and closes the files, when the loops have stopped.
func (w *Writers) Close() {
	close(w.end)
	w.timer.Wait()
	for _, f := range w.list() {
		for loop := range f.loops {
			if b := f.loops[loop].b; len(b) > 0 {
				f.stats.Waiting.Add(int64(len(b)))
				f.queue <- b
			}
		}
		close(f.queue)
		<-f.done
	}
}

func (w *Writers) list() []*File {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Collect(maps.Values(w.files))
}
