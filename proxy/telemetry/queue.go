package telemetry

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weirproxy/weir/proxy/event"
	"github.com/weirproxy/weir/proxy/network"
)

// QueueOptions say when a loop's items are sent.
type QueueOptions struct {
	Interval time.Duration // after the first item, at the latest; 0: at once
	Size     int           // when they have this size in all; 0: by the interval only
	// Most is how many items one loop may hold, more are dropped; 0: any.
	Most int
	// ByTimer is told when the interval ends a batch; may be nil.
	ByTimer func()
	// Pending is how many batches may wait to be sent; more are dropped.
	Pending int
	// Server is closed after the last batch; may be nil.
	Server interface{ Close() }
	// Dropped is told how many items of a batch were lost; may be nil.
	Dropped func(n int)
}

const defaultPending = 64

// Queue gathers items on the loops and sends them on a goroutine of its own,
// a batch at a time.
type Queue[T any] struct {
	o      QueueOptions
	loops  []*network.Loop
	filled []batch[T]
	full   chan []T
	send   func(ctx context.Context, items []T)

	ctx    context.Context
	cancel context.CancelFunc
	done   sync.WaitGroup
	closed atomic.Bool
}

// batch is what one loop gathers; only that loop touches it.
type batch[T any] struct {
	items []T
	size  int
	timer *event.Timer
	_     [64]byte
}

// NewQueue makes a queue for items from these loops, by their worker numbers.
// ctx is cancelled some time after Close.
func NewQueue[T any](loops []*network.Loop, o QueueOptions, send func(ctx context.Context, items []T)) *Queue[T] {
	if o.Pending == 0 {
		o.Pending = defaultPending
	}
	if o.Dropped == nil {
		o.Dropped = func(int) {}
	}
	q := &Queue[T]{o: o, loops: loops, filled: make([]batch[T], len(loops)), full: make(chan []T, o.Pending), send: send}
	q.ctx, q.cancel = context.WithCancel(context.Background())
	q.done.Go(q.run)
	return q
}

// Add queues an item from the loop's own goroutine.
func (q *Queue[T]) Add(loop int, item T, size int) {
	b := &q.filled[loop]
	if q.o.Most > 0 && len(b.items) >= q.o.Most {
		q.o.Dropped(1)
		return
	}
	b.items = append(b.items, item)
	b.size += size
	switch {
	case q.o.Interval == 0 || q.o.Size > 0 && b.size >= q.o.Size:
		q.Flush(loop)
	case len(b.items) == 1:
		if b.timer == nil {
			b.timer = q.loops[loop].NewTimer(func() {
				if q.o.ByTimer != nil {
					q.o.ByTimer()
				}
				q.Flush(loop)
			})
		}
		b.timer.Enable(q.o.Interval)
	}
}

// Flush hands the loop's items over, from the loop's own goroutine.
func (q *Queue[T]) Flush(loop int) {
	b := &q.filled[loop]
	if b.timer != nil {
		b.timer.Disable()
	}
	items := b.items
	b.items, b.size = nil, 0
	if len(items) == 0 {
		return
	}
	if q.closed.Load() {
		q.o.Dropped(len(items))
		return
	}
	select {
	case q.full <- items:
	default:
		q.o.Dropped(len(items))
	}
}

func (q *Queue[T]) run() {
	for {
		select {
		case items := <-q.full:
			q.send(q.ctx, items)
		case <-q.ctx.Done():
			if q.o.Server != nil {
				q.o.Server.Close()
			}
			return
		}
	}
}

// lastSend bounds how long a closed queue may take to send what it has.
const lastSend = time.Second

// Close sends what the loops have, and ends the goroutine soon. It may be
// called from any goroutine and does not wait.
func (q *Queue[T]) Close() {
	for i, l := range q.loops {
		l.Post(func() { q.Flush(i) })
	}
	time.AfterFunc(lastSend, func() {
		q.closed.Store(true)
		q.cancel()
	})
}
