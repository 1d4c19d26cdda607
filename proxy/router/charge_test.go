package router

import (
	"testing"
	"time"
)

func TestPercentOf(t *testing.T) {
	for _, c := range []struct {
		used, timeout time.Duration
		want          uint64
	}{
		{0, time.Second, 0}, {250 * time.Millisecond, time.Second, 25}, {1999 * time.Microsecond, 100 * time.Millisecond, 1},
		{3 * time.Second, time.Second, 300}, {time.Hour, 0, 0}, {time.Millisecond, time.Microsecond, 100},
	} {
		if got := percentOf(c.used, c.timeout); got != c.want {
			t.Errorf("%v of %v: got %d, want %d", c.used, c.timeout, got, c.want)
		}
	}
}
