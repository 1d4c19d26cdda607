package telemetry

import (
	"context"
	"testing"
	"time"

	"github.com/weirproxy/weir/proxy/network"
)

func loop(t *testing.T) *network.Loop {
	t.Helper()
	l, err := network.NewLoop("l", 0)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { l.Run(); close(done) }()
	t.Cleanup(func() { l.Exit(); <-done; l.Close() })
	return l
}

func receive[T any](t *testing.T, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(10 * time.Second):
		t.Fatal("nothing came")
		panic("unreachable")
	}
}

func TestQueue(t *testing.T) {
	l := loop(t)
	sent := make(chan []int, 10)
	send := func(_ context.Context, items []int) { sent <- items }

	bySize := NewQueue([]*network.Loop{l}, QueueOptions{Interval: time.Hour, Size: 10}, send)
	l.Post(func() { bySize.Add(0, 1, 5); bySize.Add(0, 2, 5); bySize.Add(0, 3, 5) })
	if got := receive(t, sent); len(got) != 2 || got[0] != 1 || got[1] != 2 {
		t.Errorf("by size: %v", got)
	}
	bySize.Close()
	if got := receive(t, sent); len(got) != 1 || got[0] != 3 {
		t.Errorf("what was left: %v", got)
	}

	byTimer := make(chan struct{}, 1)
	byTime := NewQueue([]*network.Loop{l}, QueueOptions{Interval: time.Millisecond, ByTimer: func() { byTimer <- struct{}{} }}, send)
	l.Post(func() { byTime.Add(0, 4, 1) })
	receive(t, byTimer)
	if got := receive(t, sent); len(got) != 1 || got[0] != 4 {
		t.Errorf("by the interval: %v", got)
	}
	byTime.Close()
}

func TestQueueDrops(t *testing.T) {
	l := loop(t)
	dropped := make(chan int, 10)
	hold, began := make(chan struct{}), make(chan struct{}, 10)
	q := NewQueue([]*network.Loop{l}, QueueOptions{Pending: 1, Dropped: func(n int) { dropped <- n }}, func(context.Context, []int) { began <- struct{}{}; <-hold })
	defer close(hold)
	l.Post(func() { q.Add(0, 1, 1) })
	receive(t, began) // the goroutine is busy with the first
	l.Post(func() { q.Add(0, 2, 1); q.Add(0, 3, 1) })
	if n := receive(t, dropped); n != 1 {
		t.Errorf("%d dropped", n)
	}

	most := NewQueue([]*network.Loop{l}, QueueOptions{Interval: time.Hour, Most: 1, Dropped: func(n int) { dropped <- n }}, func(context.Context, []int) {})
	l.Post(func() { most.Add(0, 1, 1); most.Add(0, 2, 1) })
	if n := receive(t, dropped); n != 1 {
		t.Errorf("%d dropped above the most", n)
	}
}
