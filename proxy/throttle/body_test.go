package throttle

import (
	"testing"
	"time"

	"github.com/weirproxy/weir/proxy/network"
)

type sink struct {
	total    int
	passes   int
	end      bool
	trailers bool
	held     int
	done     chan struct{}
}

func (s *sink) Pass(b *network.Buffer, end bool) {
	s.total += b.Len()
	s.passes++
	b.Reset()
	if s.end = end; end {
		close(s.done)
	}
}
func (s *sink) PassTrailers() { s.trailers = true; close(s.done) }
func (s *sink) Hold()         { s.held++ }
func (s *sink) Release()      { s.held-- }

// run has f make a Body on a running loop and waits for the body's end.
func run(t *testing.T, f func(l *network.Loop, s *sink)) (*sink, time.Duration) {
	t.Helper()
	l, err := network.NewLoop("test", 0)
	if err != nil {
		t.Fatal(err)
	}
	stopped := make(chan struct{})
	go func() { l.Run(); close(stopped) }()
	s := &sink{done: make(chan struct{})}
	begin := time.Now()
	l.Post(func() { f(l, s) })
	<-s.done
	took := time.Since(begin)
	l.Exit()
	<-stopped
	l.Close()
	return s, took
}

func data(l *network.Loop, n int) *network.Buffer {
	b := l.NewBuffer()
	b.Append(make([]byte, n))
	return b
}

func TestBodyIsSlowed(t *testing.T) {
	s, took := run(t, func(l *network.Loop, s *sink) {
		New(l, PerSecond(l, 16_000), 1000, s).Write(data(l, 3500), true) // a slice is 1000 bytes
	})
	if s.total != 3500 || s.passes < 2 || took < 3*slice-10*time.Millisecond {
		t.Errorf("%d bytes in %d passes and %v", s.total, s.passes, took)
	}
	if s.held != 0 {
		t.Errorf("held %d", s.held)
	}
}

func TestTrailersComeLast(t *testing.T) {
	s, _ := run(t, func(l *network.Loop, s *sink) {
		b := New(l, PerSecond(l, 1<<20), 0, s)
		if !b.Trailers() {
			t.Error("trailers wait for nothing")
		}
		b.Write(data(l, 100), false)
		if b.Trailers() {
			t.Error("trailers do not wait")
		}
	})
	if s.total != 100 || s.end || !s.trailers {
		t.Errorf("%+v", s)
	}
}

func TestEmptyBodyEnds(t *testing.T) {
	if s, _ := run(t, func(l *network.Loop, s *sink) { New(l, PerSecond(l, 1), 0, s).Write(l.NewBuffer(), true) }); !s.end {
		t.Error("not ended")
	}
}
