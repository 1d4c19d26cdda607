package agent

import (
	"testing"
	"time"
)

// A close that is heard of before its open is told after it.
func TestInOrder(t *testing.T) {
	at := func(ms int) time.Time { return time.Unix(1, 0).Add(time.Duration(ms) * time.Millisecond) }
	var o inOrder
	if o.next(at(0)) != nil {
		t.Error("waits for nothing")
	}
	o.add(Event{Time: at(5), State: StateClosed, PID: 1})
	o.add(Event{Time: at(2), State: StateOpened, PID: 1})
	o.add(Event{Time: at(5), State: StateOpened, PID: 2})
	o.add(Event{Time: at(30), State: StateOpened, PID: 3})
	if early := o.settled(at(51)); len(early) != 0 {
		t.Errorf("told too early: %v", early)
	}
	var told []Event
	for _, ms := range []int{52, 60, 79, 80} {
		told = append(told, o.settled(at(ms))...)
	}
	want := []Event{{State: StateOpened, PID: 1}, {State: StateClosed, PID: 1}, {State: StateOpened, PID: 2}, {State: StateOpened, PID: 3}}
	if len(told) != len(want) || len(o.held) != 0 {
		t.Fatalf("%d told, %d held", len(told), len(o.held))
	}
	for i, w := range want {
		if told[i].State != w.State || told[i].PID != w.PID {
			t.Errorf("%d: %v", i, told[i])
		}
	}
}
