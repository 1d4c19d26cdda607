package accesslog

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	accesslogv3 "github.com/envoyproxy/go-control-plane/envoy/config/accesslog/v3"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/weirproxy/weir/proxy/formatter"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/stats"
	"github.com/weirproxy/weir/proxy/streaminfo"
)

// compile compiles one access_log entry that logs requests' paths.
func compile(t testing.TB, w *Writers, config string) Logger {
	t.Helper()
	l := &accesslogv3.AccessLog{}
	if err := protojson.Unmarshal([]byte(config), l); err != nil {
		t.Fatal(err)
	}
	out, err := Compile("access_log", []*accesslogv3.AccessLog{l}, Options{Writers: w})
	if err != nil {
		t.Fatal(err)
	}
	return out[0]
}

func fileConfig(path string) string {
	return fmt.Sprintf(`{"name": "f", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
		"path": %q, "log_format": {"text_format_source": {"inline_string": "%%REQ(:PATH)%%\n"}}}}`, path)
}

// loop is a goroutine that logs: it runs what is posted when the test says so.
type loop struct{ posted chan func() }

func (l loop) Post(f func()) { l.posted <- f }

func (l loop) turn() {
	select {
	case f := <-l.posted:
		f()
	default:
	}
}

func newLoops(n int) []loop {
	out := make([]loop, n)
	for i := range out {
		out[i].posted = make(chan func(), 10000)
	}
	return out
}

func request(path string) *formatter.Context {
	h := new(http.HeaderMap)
	h.Add(http.Path, path)
	return &formatter.Context{Info: &streaminfo.Info{}, RequestHeaders: h}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal(what)
		}
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestWorkersLogToOneFile(t *testing.T) {
	const loops, lines = 5, 3000
	path := filepath.Join(t.TempDir(), "log")
	all := newLoops(loops)
	w := NewWriters(all, WritersOptions{FlushInterval: time.Millisecond})
	var logging sync.WaitGroup
	for loop := range loops {
		l := compile(t, w, fileConfig(path)) // each the same file
		logging.Go(func() {
			for i := range lines {
				l.Log(loop, request(fmt.Sprintf("/%d/%d", loop, i)))
				all[loop].turn()
			}
		})
	}
	logging.Wait()
	w.Close()
	next := map[int]int{}
	for s := bufio.NewScanner(strings.NewReader(read(t, path))); s.Scan(); {
		var loop, i int
		if _, err := fmt.Sscanf(s.Text(), "/%d/%d", &loop, &i); err != nil {
			t.Fatalf("line %q: %v", s.Text(), err)
		}
		if i != next[loop] {
			t.Fatalf("worker %d: line %d comes where %d is due", loop, i, next[loop])
		}
		next[loop]++
	}
	for loop := range loops {
		if next[loop] != lines {
			t.Errorf("worker %d: %d of %d lines", loop, next[loop], lines)
		}
	}
}

func TestFullBufferIsWrittenAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	w := NewWriters(newLoops(1), WritersOptions{FlushInterval: time.Hour})
	defer w.Close()
	l := compile(t, w, fileConfig(path))
	c := request("/" + strings.Repeat("x", 1023))
	for range flushSize/1024 - 1 {
		l.Log(0, c)
	}
	if got := read(t, path); got != "" {
		t.Errorf("%d bytes were written below the limit", len(got))
	}
	l.Log(0, c)
	eventually(t, "a full buffer is not written", func() bool { return len(read(t, path)) >= flushSize })
}

func TestReopen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	loops := newLoops(1)
	w := NewWriters(loops, WritersOptions{FlushInterval: time.Hour})
	l := compile(t, w, fileConfig(path))
	l.Log(0, request("/one"))
	w.Flush()
	loops[0].turn()
	eventually(t, "nothing is written", func() bool { return read(t, path) == "/one\n" })
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	w.Reopen()
	l.Log(0, request("/two"))
	w.Close()
	if got, old := read(t, path), read(t, path+".1"); got != "/two\n" || old != "/one\n" {
		t.Errorf("after rotation the files hold %q and %q", old, got)
	}
}

func TestWriteErrorsAreCounted(t *testing.T) {
	store := stats.NewStore()
	w := NewWriters(newLoops(1), WritersOptions{FlushInterval: time.Hour, Stats: store})
	l := compile(t, w, fileConfig("/dev/full"))
	l.Log(0, request("/"))
	w.Close()
	if n := store.Counter("filesystem.write_failed").Value(); n != 1 {
		t.Errorf("write_failed is %d", n)
	}
}

// A reader that does not read: memory stays bounded, what is dropped is
// counted, and the rest arrives when the reader wakes up.
func TestStuckFileDropsLines(t *testing.T) {
	path := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	fifo, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer fifo.Close()
	store := stats.NewStore()
	w := NewWriters(newLoops(1), WritersOptions{FlushInterval: time.Hour, Stats: store})
	l := compile(t, w, fileConfig(path))
	line := "/" + strings.Repeat("x", 4094)
	const lines = 3 * maxQueued * flushSize / 4096
	for range lines {
		l.Log(0, request(line))
	}
	dropped := store.Counter("filesystem.lines_dropped").Value()
	if dropped < lines/4 {
		t.Errorf("%d lines of %d are dropped", dropped, lines)
	}
	closed := make(chan struct{})
	go func() { w.Close(); close(closed) }()
	got := 0
	for s := bufio.NewScanner(fifo); s.Scan(); got++ {
		if s.Text() != line {
			t.Fatalf("line %d is %q", got, s.Text())
		}
	}
	<-closed
	if got != lines-int(dropped) {
		t.Errorf("%d lines arrived; %d were logged and %d dropped", got, lines, dropped)
	}
}

func TestLogDoesNotAllocate(t *testing.T) {
	w := NewWriters(newLoops(1), WritersOptions{})
	defer w.Close()
	l := compile(t, w, `{"name": "f", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog", "path": "/dev/null"}}`)
	c := request("/")
	for range 4000 { // the buffers grow to their size
		l.Log(0, c)
	}
	if n := testing.AllocsPerRun(2000, func() { l.Log(0, c) }); n != 0 {
		t.Errorf("%v allocations a line", n)
	}
}

func BenchmarkLog(b *testing.B) {
	w := NewWriters(newLoops(1), WritersOptions{})
	defer w.Close()
	l := compile(b, w, `{"name": "f", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog", "path": "/dev/null"}}`)
	c := request("/")
	b.ReportAllocs()
	for b.Loop() {
		l.Log(0, c)
	}
}
