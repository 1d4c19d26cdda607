package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"
)

// load is requests without pause, from the client's pod.
type load struct {
	cancel context.CancelFunc
	done   sync.WaitGroup

	mu      sync.Mutex
	answers int
	failed  []string
}

// startLoad sends requests of both kinds: on connections of their own, and
// many on one.
func (d *demo) startLoad(ctx context.Context) *load {
	l := &load{}
	ctx, l.cancel = context.WithCancel(ctx)
	url := "http://" + service4 + "/load"
	l.done.Go(func() { l.repeat(ctx, d, url) })
	l.done.Go(func() { l.repeat(ctx, d, url+"/[1-50]") })
	return l
}

// repeat ends between two runs of curl, so none is cut off.
func (l *load) repeat(ctx context.Context, d *demo, url string) {
	for ctx.Err() == nil {
		out, err := d.curl(context.WithoutCancel(ctx), "-o", "/dev/null", "-w", `%{http_code}\n`, url)
		l.count(out, err)
	}
}

func (l *load) count(out string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.failed = append(l.failed, err.Error())
		return
	}
	for _, code := range strings.Fields(out) {
		l.answers++
		if code != "200" {
			l.failed = append(l.failed, "status "+code)
		}
	}
}

func (l *load) seen() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.answers + len(l.failed)
}

// more waits for n more answers.
func (l *load) more(ctx context.Context, n int) error {
	want := l.seen() + n
	return until(ctx, "answers under load", func() bool { return l.seen() >= want })
}

// stop ends the load; a failed request is an error.
func (l *load) stop() (answers int, err error) {
	l.cancel()
	l.done.Wait()
	if len(l.failed) > 0 {
		return l.answers, fmt.Errorf("%d requests failed, the first: %s", len(l.failed), l.failed[0])
	}
	return l.answers, nil
}

// patience is how long a thing may take that should be there at once.
const patience = 15 * time.Second

func until(ctx context.Context, what string, is func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for !is() {
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w", what, ctx.Err())
		case <-time.After(5 * time.Millisecond):
		}
	}
	return nil
}
