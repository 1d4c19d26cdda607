package cluster

import (
	"testing"
	"time"
)

func TestConnectionLifetime(t *testing.T) {
	i := &Info{}
	if d := i.ConnectionLifetime(); d != 0 {
		t.Errorf("a bound of %v without one", d)
	}
	i.MaxConnectionDuration = time.Second
	if d := i.ConnectionLifetime(); d != time.Second {
		t.Errorf("%v without jitter", d)
	}
	i.MaxConnectionJitter = 0.5
	different := false
	for range 100 {
		d := i.ConnectionLifetime()
		if d < time.Second || d >= 1500*time.Millisecond {
			t.Fatalf("%v is not within a second and a half of it", d)
		}
		different = different || d != time.Second
	}
	if !different {
		t.Error("never any jitter")
	}
}
