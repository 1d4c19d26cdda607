package agent

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/weirproxy/weir/agent/handoff"
)

// An upgrade starts the new agent beside the old. The new one asks the old to
// retire: the old one stops serving, returns the listeners to the new one and
// stands by, to be ended by whoever ended it anyway. Should the new one go
// first, the one that stands by takes up again.

// errRetired ends an agent that another has taken over from.
var errRetired = errors.New("another agent has taken over")

// standbyInterval and standbyPatience say when an agent that stands by takes
// up again: when none has answered for so long.
const (
	standbyInterval = 500 * time.Millisecond
	standbyPatience = 3 * time.Second
)

// Serve runs an agent until ctx is done. With takeover it asks an agent that
// runs already to retire, and stands by while another has asked the same.
func Serve(ctx context.Context, o Options, takeover bool) error {
	if takeover {
		if err := retireOther(ctx, o); err != nil {
			return err
		}
	}
	for {
		a, err := New(o)
		if err != nil {
			return err
		}
		if err := a.Run(ctx); !errors.Is(err, errRetired) {
			return err
		}
		o.Log.Info("another agent has taken over; standing by")
		if !standBy(ctx, o) {
			return nil
		}
		o.Log.Info("no agent answers any more; taking up again")
	}
}

// retireOther returns when no other agent serves.
func retireOther(ctx context.Context, o Options) error {
	client := NewClient(o)
	if _, err := client.Status(ctx); err != nil {
		return nil
	}
	// The answer may be cut off by the very end that was asked for, so only an
	// agent that goes on serving has refused.
	refused := client.do(ctx, "POST", "/retire", nil, nil)
	for asked := time.Now(); ; {
		if _, err := client.Status(ctx); err != nil {
			return ctx.Err()
		}
		if refused != nil && time.Since(asked) > retirePatience {
			return fmt.Errorf("the agent that runs already does not retire: %w", refused)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// retirePatience is ample for an agent that ends its control socket.
const retirePatience = 2 * time.Second

// standBy returns true when this agent is needed again, false when ctx is done.
func standBy(ctx context.Context, o Options) bool {
	client := NewClient(o)
	answered := time.Now()
	for time.Since(answered) < standbyPatience {
		select {
		case <-ctx.Done():
			return false
		case <-time.After(standbyInterval):
		}
		if _, err := client.Status(ctx); err == nil {
			answered = time.Now()
		}
	}
	return true
}

// returnTimeout is how long the new agent may take to be up.
const returnTimeout = 20 * time.Second

// returnListeners gives what this agent holds to its successor.
func (a *Agent) returnListeners(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, returnTimeout)
	defer cancel()
	a.mu.Lock()
	var held []handoff.Pod
	for _, p := range a.managed {
		pod := p.forProxy()
		pod.Listeners = nil
		for _, l := range p.forProxy().Listeners {
			if l.FD >= 0 {
				pod.Listeners = append(pod.Listeners, l)
			}
		}
		held = append(held, pod)
	}
	a.mu.Unlock()
	for {
		err := handoff.Return(ctx, a.opts.proxySocket(), held)
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			a.log.Warn("the listeners are not returned to the new agent", "error", err)
			return
		case <-time.After(20 * time.Millisecond):
		}
	}
}
